set -o emacs
PS1="$USER@$(hostname):"'$PWD# '
alias ls='ls --color=auto'
alias ll='ls -alF'
