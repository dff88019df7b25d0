/**
 * The scripts by which shells complete what is typed. They hold no list: each asks `lazy-proxy completion SHELL -- WORDS` what may follow.
 * The first line of the answer says what kind it is of; for bash each further line is a candidate as it is typed, for the others two
 * lines are one: the text, which the shell quotes, and its description. The scripts use answers as text alone, and evaluate nothing.
 */
export type Shell = 'bash' | 'zsh' | 'fish';

const BASH = `# Completion of lazy-proxy for bash. In ~/.bashrc: source <(lazy-proxy completion bash)
_lazy_proxy() {
  local rest=\${COMP_LINE:0:COMP_POINT} current='' word='' kind='' line='' head='' i
  local -a before=()
  # Bash takes words apart at = and : as well; what no space divides belongs together.
  for ((i = 0; i <= COMP_CWORD; i++)); do
    if [[ $i -gt 0 && $rest == [[:space:]]* ]]; then
      before+=("$current")
      current=''
      rest=\${rest#"\${rest%%[![:space:]]*}"}
    fi
    word=\${COMP_WORDS[i]}
    # Of the last one, what stands before the cursor.
    if ((i == COMP_CWORD)); then word=$rest; fi
    current+=$word
    rest=\${rest#"$word"}
  done
  # Bash replaces only the last part.
  head=\${current%"$word"}
  if [[ $word == [=:] ]]; then head=$current; fi
  COMPREPLY=()
  while IFS= read -r line; do
    if [[ -z $kind ]]; then kind=$line; else COMPREPLY+=("\${line#"$head"}"); fi
  done < <(command lazy-proxy completion bash -- "\${before[@]:1}" "$current" 2>/dev/null </dev/null)
  if [[ $kind == files ]]; then compopt -o default 2>/dev/null; fi
}
complete -F _lazy_proxy lazy-proxy
`;

const ZSH = `#compdef lazy-proxy
# Completion of lazy-proxy for zsh. In ~/.zshrc, after compinit: source <(lazy-proxy completion zsh)
_lazy_proxy() {
  local -a before lines values displays
  local i
  before=("\${(@Q)words[2,CURRENT-1]}")
  (( CURRENT > 2 )) || before=()
  lines=("\${(@f)$(command lazy-proxy completion zsh -- "\${(@)before}" "\${(Q)PREFIX}" 2>/dev/null </dev/null)}")
  if [[ $lines[1] == files ]]; then
    if [[ $PREFIX == --*=* ]]; then compset -P '*='; fi
    _files
    return
  fi
  for (( i = 2; i < $#lines; i += 2 )); do
    values+=("$lines[i]")
    displays+=("$lines[i]  -- $lines[i+1]")
  done
  compadd -l -d displays -a values
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
  _lazy_proxy "$@"
else
  compdef _lazy_proxy lazy-proxy
fi
`;

const FISH = `# Completion of lazy-proxy for fish: lazy-proxy completion fish > ~/.config/fish/completions/lazy-proxy.fish
function __lazy_proxy_complete
    set -l before (commandline -opc)
    set -l current (commandline -ct)
    set -l lines (command lazy-proxy completion fish -- $before[2..-1] "$current" 2>/dev/null </dev/null)
    if test "$lines[1]" = files
        set -l head (string match -r -- '^--[^=]+=' "$current")
        for file in (__fish_complete_path (string replace -r -- '^--[^=]+=' '' "$current"))
            echo -- "$head$file"
        end
        return
    end
    set -l i 2
    while test $i -lt (count $lines)
        printf '%s\\t%s\\n' $lines[$i] $lines[(math $i + 1)]
        set i (math $i + 2)
    end
end
complete -c lazy-proxy -f -a '(__lazy_proxy_complete)'
`;

export const COMPLETION_SCRIPTS: Readonly<Record<Shell, string>> = { bash: BASH, zsh: ZSH, fish: FISH };
