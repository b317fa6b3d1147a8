#!/usr/bin/env bash
# Installs the servers that `make test-cluster` starts, where they are missing: with apt as root, else it says what to do.
set -euo pipefail

missing=()
compgen -G '/usr/lib/postgresql/*/bin/postgres' > /dev/null || missing+=(postgresql)
test -x /usr/lib/rabbitmq/bin/rabbitmq-server || missing+=(rabbitmq-server)
command -v ip > /dev/null || missing+=(iproute2)
command -v nsenter > /dev/null || missing+=(util-linux)

if [ "$(id -u)" != 0 ]; then
  echo "The two hosts are network namespaces, which only root can make: sudo make test-cluster"
  [ ${#missing[@]} = 0 ] || echo "To be installed before: sudo apt-get install ${missing[*]}"
  exit 1
fi
[ ${#missing[@]} = 0 ] && exit 0
if ! command -v apt-get > /dev/null; then
  echo "Install ${missing[*]} (names as in Debian), then run again"
  exit 1
fi
echo "Installing ${missing[*]} ..."
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" > /dev/null
