# Dresses bash for a plasma shell (comm/python/pl/shell.py starts it with --rcfile).
# The user's own settings come first; they may have put things before our directories on PATH.
[ -r ~/.bashrc ] && . ~/.bashrc
case $PATH: in
    "$PL_PATH":*) ;;
    *) PATH="$PL_PATH:$PATH" ;;
esac

# The emoji is drawn over two blanks that readline counts, in a sequence that it does not: terminals disagree with
# readline, and with each other, about an emoji's width, and a wrong count garbles long lines and history.
if [ -n "${PL_EMOJI-}" ]; then
    _pl_prompt='  \[\e7\e[2D'"$PL_EMOJI"'\e8\]'"($PL_CODE) "
else
    _pl_prompt="($PL_CODE) "
fi

# At every prompt, because some prompt themes set PS1 anew each time.
_pl_dress() {
    case $PS1 in
        "$_pl_prompt"*) ;;
        *) PS1="$_pl_prompt$PS1" ;;
    esac
}
# An array since bash 5.1; whatever the user has in it comes first.
if [ "${BASH_VERSINFO[0]}${BASH_VERSINFO[1]}" -ge 51 ]; then
    PROMPT_COMMAND+=(_pl_dress)
else
    PROMPT_COMMAND="${PROMPT_COMMAND:+$PROMPT_COMMAND
}_pl_dress"
fi
