# Dresses zsh for a plasma shell, as ../rc.bash does for bash.
_pl_here=$PL_CHECKOUT/comm/bash/zsh
if [[ -n "$ZDOTDIR_BEFORE" ]]; then ZDOTDIR=$ZDOTDIR_BEFORE; else unset ZDOTDIR; fi
unset ZDOTDIR_BEFORE
# A system-wide zshrc may have put the history beside what it took for the user's files.
[[ "$HISTFILE" == "$_pl_here"/* ]] && HISTFILE="${ZDOTDIR:-$HOME}/${HISTFILE##*/}"
unset _pl_here
[[ -r "${ZDOTDIR:-$HOME}/.zshrc" ]] && source "${ZDOTDIR:-$HOME}/.zshrc"
[[ "$PATH:" == "$PL_PATH":* ]] || PATH="$PL_PATH:$PATH"

if [[ -n "$PL_EMOJI" ]]; then
    _pl_prompt=$'  %{\e7\e[2D'"$PL_EMOJI"$'\e8%}'"($PL_CODE) "
else
    _pl_prompt="($PL_CODE) "
fi
# At every prompt, because some prompt themes set PROMPT anew each time.
_pl_dress() {
    [[ "$PROMPT" == "$_pl_prompt"* ]] || PROMPT="$_pl_prompt$PROMPT"
}
autoload -Uz add-zsh-hook
add-zsh-hook precmd _pl_dress
