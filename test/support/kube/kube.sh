#!/bin/bash
# A real Kubernetes control plane for the tests (etcd, API server, controller manager, scheduler) on this machine, with a
# node that exists only in the API (kwok). Linux, root, openssl, iproute2 and curl; Go >= 1.26 to build it.
# kube.sh build <binary>            compiles its programs into one file
# kube.sh start <binary> <folder>   everything it has goes to the folder, the administrator's kubeconfig among it
# kube.sh stop <folder>
# kube.sh kill <folder> <program>   as a crash does
# kube.sh launch <folder> <program> again, after it was killed; with KUBE_FLAGS behind its own
# Each control plane has a pod network of its own out of 198.18.144.0/20 (RFC 2544: for tests). All of it is local to this
# machine: a server bound to one of its addresses plays the pod. What pods do, and when, is in stages.yaml.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
names=(etcd kube-apiserver kube-controller-manager kube-scheduler kwok)
first_network=144 networks=16
# Outside of the ports that the kernel and the tests give away: one may be asked for while its program is down.
first_port=16450
# Memory is at hand; the processors are what the tests wait for.
export GOGC=400

build() { # binary
  local version stamp=k8s.io/component-base/version
  mkdir -p "$(dirname "$1")"
  work=$(mktemp -d "$1.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  cp "$here"/{main.go,go.mod} "$work"
  # Whatever else runs goes first; where each session has its own share of the CPU, nice alone has no effect.
  renice -n 10 $BASHPID >/dev/null; { echo 10 >/proc/self/autogroup; } 2>/dev/null || true
  version=$(sed -n 's/.*k8s.io\/kubernetes v//p' "$here/go.mod")
  (cd "$work" && CGO_ENABLED=0 go build -mod=mod -trimpath -o kube \
    -ldflags="-s -w -X $stamp.gitVersion=v$version -X $stamp.gitMajor=1 -X $stamp.gitMinor=$(cut -d. -f2 <<<"$version")" .)
  mv "$work/kube" "$1"
}

alive() { # program: whether its pid file names a process that runs our binary
  local exe
  [ -f "$1.pid" ] && exe=$(readlink "/proc/$(cat "$1.pid")/exe") && [ "${exe% (deleted)}" = "$(readlink binary)" ]
}

daemon() { # program flags...
  local name=$1; shift
  printf '%s\n' "$@" >"$name.flags"
  launch "$name"
}

launch() { # program
  local flags
  mapfile -t flags <"$1.flags"
  # A killed process may give up its binary before its sockets.
  [ "$1" != kube-apiserver ] || until_free "$(sed -n '/^--secure-port$/{n;p}' "$1.flags")"
  # shellcheck disable=SC2086
  setsid "./bin/$1" "${flags[@]}" ${KUBE_FLAGS:-} >>"$1.log" 2>&1 </dev/null &
  echo $! >"$1.pid"
  [ "$1" != kube-apiserver ] || wait_for "$1" is_ready "$(sed -n '/^--secure-port$/{n;p}' "$1.flags")"
}

is_ready() { # port; asked many times while it starts, so not by kubectl, each start of which keeps a processor busy for 0.1 s
  [ "$(curl --silent --max-time 5 --noproxy '*' --cacert ca.crt "https://127.0.0.1:$1/readyz")" = ok ]
}

kubectl() { bin/kubectl --kubeconfig admin.kubeconfig "$@"; }

wait_for() { # program command...: until the command succeeds, which is up to that program
  local name=$1 end=$((SECONDS + 60)); shift
  until "$@" >/dev/null 2>&1; do
    if [ $SECONDS -ge $end ] || ! kill -0 "$(cat "$name.pid")" 2>/dev/null; then
      echo "$name failed; the end of its log:" >&2; tail -5 "$name.log" >&2; return 1
    fi
    sleep 0.05
  done
}

claim_network() { # sets net and port; creating the route is the claim, which fails where somebody has it
  local i
  for ((i = 0; i < networks; i++)); do
    net=198.18.$((first_network + i)) port=$((first_port + 3 * i))
    ! taken $port && ! taken $((port + 1)) && ! taken $((port + 2)) || continue
    if ip route add local "$net.0/24" dev lo 2>/dev/null; then echo "$net" >network; return; fi
  done
  echo "every pod network from 198.18.$first_network.0/24 on, or its ports from $first_port on, are taken" >&2
  return 1
}

until_free() { # port: waits for it, 5 s at most
  local i
  for ((i = 0; i < 100; i++)); do taken "$1" || return 0; sleep 0.05; done
}

taken() { (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null; } # port

certificate() { # name subject [extensions]
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$1.key" -out "$1.csr" -subj "$2" 2>/dev/null
  openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -days 2 -out "$1.crt" -extfile <(printf '%s\n' "${3:-extendedKeyUsage=clientAuth}") 2>/dev/null
}

write_credentials() { # port
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ca.key -out ca.crt -days 2 -subj /CN=kube-ca 2>/dev/null
  certificate server /CN=kube-apiserver $'extendedKeyUsage=serverAuth\nsubjectAltName=IP:127.0.0.1,DNS:localhost'
  certificate admin /O=system:masters/CN=admin
  openssl genrsa -out sa.key 2048 2>/dev/null
  cat >admin.kubeconfig <<Y
apiVersion: v1
kind: Config
current-context: kube
clusters: [{name: kube, cluster: {server: "https://127.0.0.1:$1", certificate-authority-data: $(base64 -w0 ca.crt)}}]
users: [{name: admin, user: {client-certificate-data: $(base64 -w0 admin.crt), client-key-data: $(base64 -w0 admin.key)}}]
contexts: [{name: kube, context: {cluster: kube, user: admin}}]
Y
}

start() { # binary
  local name net port etcd peer controllers
  ln -s "$(realpath "$1")" binary
  mkdir bin
  for name in "${names[@]}" kubectl; do ln -s ../binary "bin/$name"; done
  trap '[ $? = 0 ] || stop' EXIT
  claim_network
  write_credentials "$port"
  etcd=http://127.0.0.1:$((port + 1)) peer=http://127.0.0.1:$((port + 2))
  daemon etcd --name kube --data-dir data --unsafe-no-fsync --listen-client-urls "$etcd" --advertise-client-urls "$etcd" \
    --listen-peer-urls "$peer" --initial-advertise-peer-urls "$peer" --initial-cluster "kube=$peer"
  wait_for etcd taken $((port + 1))
  # The node reports nothing, so nobody would lift the taint that TaintNodesByCondition gives to a new node.
  daemon kube-apiserver --bind-address 127.0.0.1 --secure-port "$port" --advertise-address "$net.254" --endpoint-reconciler-type none \
    --etcd-servers "$etcd" --authorization-mode RBAC --disable-admission-plugins TaintNodesByCondition \
    --service-cluster-ip-range 10.96.0.0/16 --tls-cert-file server.crt --tls-private-key-file server.key --client-ca-file ca.crt \
    --service-account-issuer https://kubernetes.default.svc --service-account-signing-key-file sa.key --service-account-key-file sa.key \
    --audit-policy-file "$here/audit.yaml" --audit-log-path audit.log --audit-log-mode blocking
  controllers=(deployment replicaset statefulset endpointslice namespace serviceaccount garbage-collector clusterrole-aggregation root-ca-certificate-publisher)
  daemon kube-controller-manager --kubeconfig admin.kubeconfig --secure-port 0 --leader-elect=false --use-service-account-credentials \
    --service-account-private-key-file sa.key --root-ca-file ca.crt \
    --controllers "$(printf '%s-controller,' "${controllers[@]}" | sed 's/,$//')"
  daemon kube-scheduler --kubeconfig admin.kubeconfig --secure-port 0 --leader-elect=false
  for name in node stages; do sed "s/198\.18\.144/$net/g" "$here/$name.yaml" >"$name.yaml"; done
  kubectl apply -f node.yaml >/dev/null
  daemon kwok --kubeconfig admin.kubeconfig --config stages.yaml --manage-all-nodes
  wait_for kube-controller-manager kubectl get serviceaccount default
  wait_for kwok kubectl wait node/node0 --for condition=Ready --timeout 1s
  for name in "${names[@]}"; do wait_for "$name" alive "$name"; done
}

terminate() { # program signal: returns when it has gone
  local i
  alive "$1" || return 0
  kill "-$2" "$(cat "$1.pid")"
  for ((i = 0; i < 100; i++)); do
    alive "$1" || return 0
    sleep 0.05
  done
  kill -KILL "$(cat "$1.pid")"
}

stop() { # the last started first
  local i
  for ((i = ${#names[@]} - 1; i >= 0; i--)); do terminate "${names[i]}" TERM; done
  if [ -f network ]; then ip route del local "$(cat network).0/24" dev lo 2>/dev/null || true; fi
}

usage() { sed -n '4,8s/^# //p' "${BASH_SOURCE[0]}" >&2; exit 2; }

case "${1:-} $#" in
"build 2") build "$(realpath -m "$2")" ;;
"start 3") binary=$(realpath "$2"); mkdir -p "$3"; cd "$3"; start "$binary" ;;
"stop 2") cd "$2"; stop ;;
"kill 3") cd "$2"; terminate "$3" KILL ;;
"launch 3") cd "$2"; launch "$3" ;;
*) usage ;;
esac
