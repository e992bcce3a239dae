# bash completion for sluicectl
_sluicectl() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command='' given words
  local commands='status list show explain history pin unpin suspend resume mode reload restore reexec doctor'
  for given in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case " $commands " in *" $given "*) command=$given; break ;; esac
  done
  case "$before" in --for | --reason | --timeout | --bus | -n | --lines) return ;; esac
  local globals='--json --no-color --bus= --timeout= --help'
  case "$command" in
    '') words="$commands --version $globals" ;;
    list) words="--names $globals" ;;
    mode) words='enforce dry-run observe' ;;
    explain) words="--verbose $globals" ;;
    history) words="-n $globals" ;;
    pin) words='cpu= memory= --for --reason' ;;
    suspend) words='--all --reason' ;;
    resume) words='--all' ;;
    *) words=$globals ;;
  esac
  case "$word" in --*=* | -*) ;; *)
    case "$command" in
      show | explain | history | pin | unpin | suspend | resume)
        mapfile -t COMPREPLY < <(sluicectl --timeout=2 list --names 2>/dev/null | while IFS= read -r given; do
          [[ $given != "$word"* ]] || printf '%q\n' "$given"
        done)
        ;;
    esac
  ;; esac
  mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -W "$words" -- "$word")
  [[ ${COMPREPLY[0]-} != *= ]] || compopt -o nospace
}
complete -F _sluicectl sluicectl
