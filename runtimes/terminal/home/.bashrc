[[ $- == *i* ]] || return

PS1='\[\e[1;32m\]\u@\h\[\e[0m\]:\[\e[1;34m\]\w\[\e[0m\]\$ '
HISTCONTROL=ignoreboth
HISTSIZE=10000
HISTFILESIZE=10000
shopt -s checkwinsize histappend

alias diff='diff --color=auto'
alias grep='grep --color=auto'
alias ip='ip -color=auto'
alias ls='ls --color=auto'
alias l='ls -CF'
alias la='ls -A'
alias ll='ls -alF'

# The completions are loaded by the first Tab that needs them.
load_completions() {
    . /usr/share/bash-completion/bash_completion
    _completion_loader "$@"
}
if [[ -r /usr/share/bash-completion/bash_completion ]]; then
    complete -D -F load_completions
fi
