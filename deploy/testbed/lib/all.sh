# shellcheck shell=bash
# All parts of the testbed's library, in reading order.
# To check them: shellcheck -x -a deploy/testbed/{up,down,status,server,image,check,test,fuzz}

library=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=deploy/testbed/lib/common.sh
source "$library/common.sh"
# shellcheck source=deploy/testbed/lib/ports.sh
source "$library/ports.sh"
# shellcheck source=deploy/testbed/lib/process.sh
source "$library/process.sh"
# shellcheck source=deploy/testbed/lib/probes.sh
source "$library/probes.sh"
# shellcheck source=deploy/testbed/lib/packages.sh
source "$library/packages.sh"
# shellcheck source=deploy/testbed/lib/pki.sh
source "$library/pki.sh"
# shellcheck source=deploy/testbed/lib/build.sh
source "$library/build.sh"
# shellcheck source=deploy/testbed/lib/postgres.sh
source "$library/postgres.sh"
# shellcheck source=deploy/testbed/lib/redis.sh
source "$library/redis.sh"
# shellcheck source=deploy/testbed/lib/kubernetes.sh
source "$library/kubernetes.sh"
# shellcheck source=deploy/testbed/lib/node.sh
source "$library/node.sh"
# shellcheck source=deploy/testbed/lib/environment.sh
source "$library/environment.sh"
