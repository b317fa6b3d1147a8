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

# Debian's packages start their servers, and have them started with the machine. The test starts servers of its own, so
# this machine is left without: a policy refuses to start any meanwhile, and what was not enabled before is not after.
enabled() {
  { systemctl list-unit-files --state=enabled --no-legend 2> /dev/null || true; } | awk '{print $1}' | sort
}
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
  trap 'rm -f $policy' EXIT
  printf '#!/bin/sh\nexit 101\n' > $policy
  chmod 755 $policy
fi
before=$(enabled)
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" > /dev/null
comm -13 <(echo "$before") <(enabled) | xargs --no-run-if-empty systemctl disable --quiet
