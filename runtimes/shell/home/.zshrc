PROMPT='%B%F{green}%n@%m%f%b:%B%F{blue}%~%f%b%# '
HISTFILE=~/.zsh_history
HISTSIZE=10000
SAVEHIST=10000
setopt append_history hist_ignore_dups hist_ignore_space
bindkey -e

alias diff='diff --color=auto'
alias grep='grep --color=auto'
alias ip='ip -color=auto'
alias ls='ls --color=auto'
alias l='ls -CF'
alias la='ls -A'
alias ll='ls -alF'

autoload -Uz compinit
compinit
