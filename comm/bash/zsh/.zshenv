# zsh reads its files from this folder because ZDOTDIR points here; the user's own are read from where they are.
# Not from $ZDOTDIR, which zsh 5.9 garbles when it takes it from the environment and it is not ASCII.
_pl_here=$PL_CHECKOUT/comm/bash/zsh
if [[ -n "$ZDOTDIR_BEFORE" ]]; then ZDOTDIR=$ZDOTDIR_BEFORE; else unset ZDOTDIR; fi
[[ -r "${ZDOTDIR:-$HOME}/.zshenv" ]] && source "${ZDOTDIR:-$HOME}/.zshenv"
# Many people's .zshenv says where their other files are.
export ZDOTDIR_BEFORE=$ZDOTDIR ZDOTDIR=$_pl_here
unset _pl_here
