# zsh reads its files from this folder because ZDOTDIR points here; the user's own are read from these.
[[ -r "${ZDOTDIR_BEFORE:-$HOME}/.zshenv" ]] && source "${ZDOTDIR_BEFORE:-$HOME}/.zshenv"
