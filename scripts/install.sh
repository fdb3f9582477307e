# Sourced by run.sh and test.sh: installs what is missing, with apt-get.
# install_packages COMMAND=PACKAGE … installs each package whose command (or file) is not there.

install_packages() {
    local missing=()
    for pair in "$@"; do
        local probe="${pair%%=*}" package="${pair#*=}"
        if [[ "$probe" == /* ]]; then
            compgen -G "$probe" >/dev/null || missing+=("$package")
        else
            command -v "$probe" >/dev/null || missing+=("$package")
        fi
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    if [ "$(id -u)" -ne 0 ]; then
        echo "These Debian packages are missing: ${missing[*]}" >&2
        echo "Install them as root (apt-get install ${missing[*]}), or run this script as root." >&2
        return 1
    fi
    echo "Installing ${missing[*]} ..." >&2
    apt-get update -qq >/dev/null
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

require_dotnet() {
    if ! command -v dotnet >/dev/null; then
        echo "The .NET 10 SDK is missing: see https://dotnet.microsoft.com/download/dotnet/10.0" >&2
        return 1
    fi
}
