# shellcheck shell=bash disable=SC2154,SC2016,SC1091
# Installs what tern needs on Debian 12 or 13; sourced by tools/dev.
#
#   setup_packages GROUP...   group: build, format, clang, clang-tidy. A no-op when everything is there.

# What each group is for. `build` covers building and testing; the rest only where a verb asks.
packages_of() {
  case $1 in
    build)
      echo git ca-certificates g++ cmake ninja-build ccache pkg-config python3 \
        libfmt-dev libexpected-dev liburing-dev zlib1g-dev libbrotli-dev libzstd-dev \
        libnghttp2-dev libwslay-dev libpsl-dev libboost-dev \
        libprotobuf-dev libprotoc-dev protobuf-compiler \
        libcli11-dev libtomlplusplus-dev libgtest-dev libgmock-dev libbenchmark-dev \
        iproute2 nftables
      # For amd64 alone; without it AES-GCM is BoringSSL's.
      if [[ $(dpkg --print-architecture 2>/dev/null) == amd64 ]]; then echo libipsec-mb-dev; fi
      ;;
    format) echo clang-format-19 ;;
    clang) echo clang-19 libclang-rt-19-dev llvm-19 ;;
    clang-tidy) echo clang-tidy-19 ;;
    *) usage_error "setup: no package group $1; there are build, format, clang, clang-tidy" ;;
  esac
}

# Debian 12 has these too old; its backports and Debian 13 have them. Name and least version.
newer_packages=(libngtcp2-dev:1.11 libnghttp3-dev:1.8 android-libboringssl-dev:14)

as_root() {
  if [[ $EUID -eq 0 ]]; then "$@"; else sudo "$@"; fi
}

# apt-get with its output in the log. Mirrors hiccup: each attempt waits longer than the one before.
apt() {
  local attempt
  for attempt in 1 2 3 4; do
    if as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y \
      -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 "$@" \
      >>"$setup_log" 2>&1; then
      return 0
    fi
    [[ $attempt -eq 4 ]] && break
    say "apt-get $1 failed (attempt $attempt of 4), trying again in $((attempt * attempt * 3)) s"
    sleep $((attempt * attempt * 3))
  done
  return 1
}

install_packages() {
  apt install --no-install-recommends "$@" && return
  tail -n 15 "$setup_log" >&2
  die "setup: \`apt-get install $*\` failed four times; the whole log is $setup_log"
}

# Not fatal: the source that fails may be one that has nothing to do with tern.
update_package_lists() {
  apt update || say "apt-get update failed: $(grep -m1 '^[EW]:' "$setup_log"); going on without it"
}

# The installed version of each package of the arguments, as "name version" lines.
installed_versions() {
  # shellcheck disable=SC2016  # dpkg-query's own variables
  dpkg-query -W -f '${db:Status-Status} ${Package} ${Version}\n' "$@" 2>/dev/null |
    sed -n 's/^installed //p' | sort -u
}

version_at_least() { dpkg --compare-versions "$1" ge "$2"; }

# Fills `missing` (plain packages) and `missing_newer` (those of newer_packages).
find_missing() {
  local wanted=() group package entry version
  for group in "$@"; do
    for package in $(packages_of "$group"); do wanted+=("$package"); done
  done
  local -A have=()
  while read -r package version; do
    have[$package]=$version
  done < <(installed_versions "${wanted[@]}" "${newer_packages[@]%%:*}")
  missing=() missing_newer=()
  for package in "${wanted[@]}"; do
    [[ -n ${have[$package]:-} ]] || missing+=("$package")
  done
  [[ " $* " == *" build "* ]] || return 0
  for entry in "${newer_packages[@]}"; do
    package=${entry%%:*}
    if [[ -z ${have[$package]:-} ]] || ! version_at_least "${have[$package]}" "${entry#*:}"; then
      missing_newer+=("$package")
    fi
  done
}

candidate_version() { LC_ALL=C apt-cache policy "$1" | sed -n 's/^  Candidate: //p'; }

# True when plain `apt-get install` would give every newer package in a version that is new enough.
release_is_new_enough() {
  local entry candidate
  for entry in "${newer_packages[@]}"; do
    candidate=$(candidate_version "${entry%%:*}")
    [[ -n $candidate && $candidate != "(none)" ]] || return 1
    version_at_least "$candidate" "${entry#*:}" || return 1
  done
}

# bookworm-backports from the mirror, and with the keyring, that this machine already uses.
enable_backports() {
  local field='$(RELEASE) $(COMPONENT) $(REPO_URI) $(SOURCESENTRY)'
  local targets uri entry file keyring='' option=''
  targets=$(apt-get indextargets --format "$field" 'Created-By: Packages')
  if grep -q '^bookworm-backports main ' <<<"$targets"; then return 0; fi
  read -r _ _ uri entry < <(grep '^bookworm main ' <<<"$targets") ||
    die "setup: no apt source of this machine has Debian 12 (bookworm) main; add one and try again"
  # The source's own keyring, from `Signed-By: …` (.sources) or `[signed-by=…]` (.list).
  file=${entry%:*}
  if [[ -r $file ]]; then
    keyring=$(sed -nE 's/^[Ss]igned-[Bb]y: *(\/[^ ]+).*/\1/p; s/.*signed-by=(\/[^] ]+).*/\1/p' "$file" |
      head -n 1)
  fi
  if [[ -z $keyring && -r /usr/share/keyrings/debian-archive-keyring.gpg ]]; then
    keyring=/usr/share/keyrings/debian-archive-keyring.gpg
  fi
  [[ -n $keyring ]] && option="[signed-by=$keyring] "
  say "enabling bookworm-backports, from this machine's own mirror"
  echo "deb $option$uri bookworm-backports main" |
    as_root tee /etc/apt/sources.list.d/tern-backports.list >/dev/null
  update_package_lists
}

setup_packages() {
  local missing missing_newer release
  command -v dpkg-query >/dev/null ||
    die "setup: this is not Debian; install by hand: $(packages_of build) ${newer_packages[*]}"
  find_missing "$@"
  [[ ${#missing[@]} -eq 0 && ${#missing_newer[@]} -eq 0 ]] && return 0
  [[ $EUID -eq 0 ]] || command -v sudo >/dev/null ||
    die "setup: packages are missing (${missing[*]} ${missing_newer[*]}); run as root, or install sudo"

  mkdir -p "$root/build"
  setup_log=$root/build/setup.log
  : >"$setup_log"
  say "installing $((${#missing[@]} + ${#missing_newer[@]})) packages (log: build/setup.log)"
  update_package_lists
  if [[ ${#missing[@]} -gt 0 ]]; then
    install_packages "${missing[@]}"
  fi
  if [[ ${#missing_newer[@]} -gt 0 ]]; then
    release=$(. /etc/os-release && echo "${VERSION_CODENAME:-unknown}")
    if [[ $release == bookworm ]]; then
      enable_backports
      install_packages -t bookworm-backports "${missing_newer[@]}"
    elif release_is_new_enough; then
      install_packages "${missing_newer[@]}"
    else
      die "setup: $release has no new enough ${newer_packages[*]}; tern is built on Debian 12 and 13"
    fi
  fi
  find_missing "$@"
  [[ ${#missing[@]} -eq 0 && ${#missing_newer[@]} -eq 0 ]] ||
    die "setup: still missing after the installation: ${missing[*]} ${missing_newer[*]}"
}
