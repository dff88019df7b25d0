import { describe, expect, test } from 'vitest';
import { parseEnvironment } from '../../src/config/environment.ts';
import { createFileParser } from '../../src/config/file.ts';
import { describeOrigin, originOfItem } from '../../src/model/origin.ts';
import { formatProblem } from '../../src/model/problem.ts';
import { aFile, serviceOf, tableOf } from '../support/builders.ts';

const parse = createFileParser();

function problemsOf(text: string): readonly string[] {
  return parse({ text, file: 'lazy-proxy.yaml' }).problems.map(formatProblem);
}

const NAME_HINT = "; a port's name can be used for Kubernetes workloads only";
const ONE_WORKLOAD =
  'a service is one of these: a container, a Swarm service (swarm_service), a Deployment, a StatefulSet, or a local process (command)';
const WORKLOAD = 'name or namespace/name, of lower case letters, digits and "-", such as db or shop/db';

/** Each line of the text, then what is said about it. */
const MISTAKES: readonly (readonly [name: string, text: string, problems: readonly string[]])[] = [
  [
    'a target that is no number',
    'services:\n  db:\n    ports: ["80:http"]',
    [`3:13 error ports[0]: "80:http" is not [address:]listen:target${NAME_HINT}`],
  ],
  [
    'a bare port',
    'services:\n  db:\n    ports: [5432]',
    ['3:13 error ports[0]: 5432 is not [address:]listen:target; write "5432:5432"'],
  ],
  [
    'a port outside the range',
    'services:\n  db:\n    ports: ["70000:1", "1:0"]',
    [
      '3:13 error ports[0]: "70000:1": port 70000 is outside 1–65535',
      '3:24 error ports[1]: "1:0": port 0 is outside 1–65535',
    ],
  ],
  [
    'ranges of unequal length',
    'services:\n  db:\n    ports: ["9000-9009:8000-8008"]',
    [
      '3:13 error ports[0]: "9000-9009:8000-8008": 10 listen ports and 9 target ports; both ranges must have the same length',
    ],
  ],
  [
    'a process behind its own ports',
    'services:\n  app:\n    command: [app]\n    ports: ["9000:9000"]\n    udp_ports: ["127.0.0.1:53:5353", "[::1]:5353:53", "127.0.0.1:5353:54"]',
    [
      '4:13 error ports[0]: "9000:9000" leads back to the proxy: tcp port 9000 of this machine, where the process would have to listen, is listened on by this service (lazy-proxy.yaml:4:13); give the process another port',
      '5:17 error udp_ports[0]: "127.0.0.1:53:5353" leads back to the proxy: udp port 5353 of this machine, where the process would have to listen, is listened on by this service (lazy-proxy.yaml:5:55) and this service (lazy-proxy.yaml:5:38); give the process another port',
    ],
  ],
  [
    'a process behind the ports of another service and of the status server',
    'services:\n  web:\n    ports: ["80:80"]\n  app:\n    command: [app]\n    ports: ["9000-9001:79-80", "81:8080"]',
    [
      '6:13 error ports[0]: "9000-9001:79-80" leads back to the proxy: tcp port 80 of this machine, where the process would have to listen, is listened on by service "web" (lazy-proxy.yaml:3:13); give the process another port',
      '6:32 error ports[1]: "81:8080" leads back to the proxy: tcp port 8080 of this machine, where the process would have to listen, is listened on by the status server (by default; status.listen can give it another place); give the process another port',
    ],
  ],
  [
    'a webhook that leads to its own service',
    'services:\n  web:\n    ports: ["26201:80"]\n    webhook_url: "http://127.0.0.1:26201/SECRET"',
    [
      '4:18 warning webhook_url: http://127.0.0.1:26201/… is listened on by this service (lazy-proxy.yaml:3:13), which has a webhook: each event would make the next, so none is sent there',
    ],
  ],
  [
    'an unknown key',
    'services:\n  db:\n    idle_timout: 5m',
    ['3:5 error idle_timout: unknown key; did you mean "idle_timeout"?'],
  ],
  ['an unknown top-level key', 'service: {}', ['1:1 error service: unknown key; did you mean "services"?']],
  [
    'an unknown key like no other',
    'docker:\n  zzz: 1',
    [
      '2:3 error docker.zzz: unknown key; known are socket, labels, image_labels, label_prefix, join_networks, label_urls',
    ],
  ],
  [
    'places for the URLs of labels that are none',
    'docker:\n  label_urls: ["10.0.0/8", "127.1", "*.lan", "a:80", 1, hooks.lan]',
    ['"10.0.0/8"', '"127.1"', '"*.lan"', '"a:80"', '1'].map(
      (shown, index) =>
        `2:${[16, 28, 37, 46, 54][index]} error docker.label_urls[${index}]: ${shown} is not a host name, IP address or CIDR range such as hooks.lan or 192.168.0.0/16`,
    ),
  ],
  [
    'places for the URLs of labels that are no list',
    'docker:\n  label_urls: hooks.lan',
    ['2:15 error docker.label_urls: "hooks.lan" is not a list; write ["hooks.lan"]'],
  ],
  [
    'an engine that the proxy cannot reach',
    'docker:\n  socket: ssh://me@host',
    [
      '2:11 error docker.socket: "ssh://host" is not an absolute path or a unix://, tcp://, http:// or https:// URL',
    ],
  ],
  [
    'a service field among the defaults',
    'defaults:\n  ports: ["80:80"]',
    ['2:3 error defaults.ports: belongs to a service, not to defaults'],
  ],
  [
    'a duplicate key',
    'services:\n  db:\n    ports: []\n    ports: []',
    ['4:5 error the key "ports" is given twice; keep one of them'],
  ],
  [
    'a duplicate service',
    'services:\n  db: {}\n  db: {}',
    ['3:3 error the key "db" is given twice; keep one of them'],
  ],
  [
    'a duplicate name in a list',
    'services:\n  - name: db\n  - name: db',
    ['3:11 error name: "db" is the name of another service already (lazy-proxy.yaml:2:11)'],
  ],
  [
    'an entry without name',
    'services:\n  - ports: []',
    ['2:5 error name: is missing; each entry of a list needs one, such as "name: db"'],
  ],
  [
    'a name inside the mapping form',
    'services:\n  db:\n    name: db',
    ['3:5 error name: the key above is the name already; remove this line'],
  ],
  [
    'a bad range of addresses',
    'services:\n  db:\n    allow_list: [10.0.0.0/33, 010.0.0.1, 0x7f.1/8]',
    [
      '3:18 error allow_list[0]: "10.0.0.0/33" is not an IP address or CIDR range such as 192.168.0.0/16',
      '3:31 error allow_list[1]: "010.0.0.1" is not an IP address or CIDR range such as 192.168.0.0/16',
      '3:42 error allow_list[2]: "0x7f.1/8" is not an IP address or CIDR range such as 192.168.0.0/16',
    ],
  ],
  [
    'a cron expression of six fields',
    'services:\n  db:\n    cron_start: "0 0 8 * * 1"',
    [
      '3:17 error cron_start: "0 0 8 * * 1" has 6 fields, not five fields: minute hour day-of-month month day-of-week, such as "30 8 * * 1-5"',
    ],
  ],
  [
    'a cron expression that never fires',
    'services:\n  db:\n    cron_stop: "0 0 31 2 *"',
    [
      '3:16 error cron_stop: "0 0 31 2 *" is not a cron expression: no such month has that day, so it would never fire',
    ],
  ],
  ...[
    ['cron_stop: "60 1 * * *"', 'minute 60 is outside 0–59'],
    ['cron_stop: "1 25 * * *"', 'hour 25 is outside 0–23'],
    ['cron_stop: "1 1 32 * *"', 'day of month 32 is outside 1–31'],
    ['cron_stop: "1 1 1 13 *"', 'month 13 is outside 1–12'],
    ['cron_stop: "1 1 * * 8"', 'day of week 8 is outside 0–7'],
    ['cron_stop: "1 1-25 * * *"', 'hour 1-25 is outside 0–23'],
  ].map(
    ([line = '', reason]) =>
      [
        `a cron expression of which ${reason}`,
        `services:\n  db:\n    ${line}`,
        [`3:16 error ${line} is not a cron expression: ${reason}`],
      ] as const,
  ),
  [
    'two letters that have changed places',
    'services:\n  db:\n    prots: ["80:80"]',
    ['3:5 error prots: unknown key; did you mean "ports"?'],
  ],
  [
    'labels in a service',
    'services:\n  db:\n    enabled: true\n    lazy-proxy.idle-timeout: 5m',
    [
      '3:5 error enabled: is a label; a service of the file always takes part, so remove the key, or the service',
      '4:5 error lazy-proxy.idle-timeout: is a label; in the file write idle_timeout',
    ],
  ],
  [
    'an address and one port',
    'services:\n  db:\n    ports: ["127.0.0.1:80"]',
    ['3:13 error ports[0]: "127.0.0.1:80" is not [address:]listen:target; write "127.0.0.1:80:80"'],
  ],
  [
    'a status server that is to be off, a level too deep',
    'status: { listen: off }\nservices: {}',
    [
      '1:19 error status.listen: "off" is not [address:]port such as "0.0.0.0:8080"; to turn the server off, write status: off',
    ],
  ],
  [
    'an unknown time zone',
    'services:\n  db:\n    timezone: Mars/Phobos',
    ['3:15 error timezone: "Mars/Phobos" is not a known time zone such as Europe/Paris or UTC'],
  ],
  [
    'a cycle',
    'services:\n  a:\n    dependants: [b]\n  b:\n    dependants: [a]',
    ['5:18 error dependants[0]: a → b → a is a cycle; remove one of the links'],
  ],
  [
    'a service that depends on itself by its container',
    'services:\n  a:\n    container: c\n    dependants: [c]',
    ['4:18 error dependants[0]: a → a is a cycle; remove one of the links'],
  ],
  [
    'an unknown dependant',
    'services:\n  worker: {}\n  a:\n    dependants: [wroker]',
    [
      '4:18 warning dependants[0]: "wroker" is no service of this file; a container of this name is meant; did you mean "worker"?',
    ],
  ],
  [
    'two services on one port',
    'services:\n  a:\n    ports: ["80:1"]\n  b:\n    ports: ["127.0.0.1:80:1"]',
    [
      '5:13 error ports[0]: "127.0.0.1:80:1" listens on tcp 127.0.0.1:80, which service "a" does already (lazy-proxy.yaml:3:13)',
    ],
  ],
  [
    'one service twice on one port',
    'services:\n  a:\n    ports: ["80-82:1-3", "81:5"]',
    [
      '3:26 error ports[1]: "81:5" listens on tcp *:81, which this service does already (lazy-proxy.yaml:3:13)',
    ],
  ],
  [
    'two services of one container that contradict each other',
    'services:\n  b:\n    container: a\n    cron_start: "0 8 * * *"\n    idle_timeout: 5m\n  a: { cron_start: "0 9 * * *", idle_timeout: 6m }',
    [
      '6:20 error cron_start: service "b" says something else (lazy-proxy.yaml:4:17), and both are container "a", which has one cron_start for all its services; give it at one of them',
    ],
  ],
  [
    'a health check of one and the statuses of another service of one container',
    'services:\n  a: { ports: ["1:1"], http_healthcheck: "http://{{container}}/" }\n  b: { container: a, ports: ["2:2"], http_healthcheck_status: 204 }',
    [],
  ],
  [
    'a dependant that needs what shares its workload with the hub',
    'services:\n  a: { ports: ["1:1"] }\n  b: { container: a, ports: ["2:2"], dependants: [c] }\n  c: { dependants: [a] }',
    ['4:21 error dependants[0]: a → c → a is a cycle; remove one of the links'],
  ],
  [
    'a dependant that has the same workload as its hub',
    'services:\n  a: { ports: ["1:1"] }\n  b: { container: a, ports: ["2:2"], dependants: [a] }',
    ['3:51 error dependants[0]: a → a is a cycle; remove one of the links'],
  ],
  [
    'container and command together',
    'services:\n  a:\n    container: x\n    command: [node]',
    [`4:5 error command: given beside container; ${ONE_WORKLOAD}`],
  ],
  [
    'both spellings of a duration',
    'services:\n  a:\n    idle_timeout_secs: 3\n    idle_timeout: 3',
    ['3:5 error idle_timeout_secs: given beside idle_timeout; keep one of them'],
  ],
  [
    'a bad duration',
    'defaults:\n  idle_timeout: 5 minutes',
    [
      '2:17 error defaults.idle_timeout: "5 minutes" is not a duration such as 90 (seconds), "90s", "1h30m" or "500ms"; write "5m"',
    ],
  ],
  [
    'a negative duration',
    'services:\n  a:\n    stop_timeout: -1',
    [
      '3:19 error stop_timeout: -1 is negative; it must be a duration such as 90 (seconds), "90s", "1h30m" or "500ms"',
    ],
  ],
  [
    'a start budget of nothing',
    'services:\n  a:\n    start_timeout: 0',
    [
      '3:20 error start_timeout: 0 is not more than 0; it must be a duration such as 90 (seconds), "90s", "1h30m" or "500ms"',
    ],
  ],
  [
    'a key without value',
    'services:\n  a:\n    idle_timeout:\n    ports: []',
    [
      '3:5 error idle_timeout: has no value; write a duration such as 90 (seconds), "90s", "1h30m" or "500ms", or remove the key',
    ],
  ],
  [
    'services without value beside other keys',
    'status: off\nservices:\n# later',
    ['2:1 error services: has no value; write {} if no service is meant'],
  ],
  ['services without value, alone', '# to be filled in\nservices:\n#  db:\n', []],
  [
    'a service without value',
    'services:\n  a:',
    ['2:3 error services.a: has no value; write {} where nothing is to be set'],
  ],
  [
    'a webhook that is no URL',
    'services: {a: {webhook_url: "ftp://x"}}',
    ['1:29 error webhook_url: "ftp://x" is not an http:// or https:// URL'],
  ],
  [
    'an option for a process on a container',
    'services:\n  a:\n    cwd: /srv',
    ['3:5 warning cwd: has no effect without command'],
  ],
  [
    'a UDP option on a service of TCP alone',
    'services:\n  a:\n    ports: ["1:1"]\n    udp_queue_age: 1s',
    ['4:5 warning udp_queue_age: has no effect without udp_ports'],
  ],
  [
    'two kinds of workloads, and a third',
    'services:\n  a:\n    statefulset: x\n    deployment: y\n    swarm_service: z',
    [
      `3:5 error statefulset: given beside swarm_service; ${ONE_WORKLOAD}`,
      `4:5 error deployment: given beside swarm_service; ${ONE_WORKLOAD}`,
    ],
  ],
  [
    'names that Kubernetes does not allow',
    'services:\n  a:\n    deployment: Shop/db\n  b:\n    statefulset: a/b/c\n  c:\n    deployment: my_db\n    service_name: a.b\n  d:\n    deployment: 7',
    [
      `3:17 error deployment: "Shop/db" is not ${WORKLOAD}`,
      `5:18 error statefulset: "a/b/c" is not ${WORKLOAD}`,
      `7:17 error deployment: "my_db" is not ${WORKLOAD}`,
      '8:19 error service_name: "a.b" is not a name of lower case letters, digits and "-", at most 63 characters',
      '10:17 error deployment: 7 is not text; write "7"',
    ],
  ],
  [
    'a way to a workload that there is not',
    'services:\n  a:\n    deployment: x\n    upstream: pods',
    ['4:15 error upstream: "pods" is not endpoints or service'],
  ],
  [
    'names of ports that are none',
    'services:\n  a:\n    deployment: x\n    ports: ["80:HTTP", "81-82:http", "83:-x", "84:http-alt"]',
    [
      '4:13 error ports[0]: "80:HTTP" is not [address:]listen:target; a target is a port\'s number, or its name in the Service: at most 63 of a-z, 0-9 and "-"',
      `4:24 error ports[1]: "81-82:http": 2 listen ports and the name of one target port; a name can't stand for a range`,
      '4:38 error ports[2]: "83:-x" is not [address:]listen:target; a target is a port\'s number, or its name in the Service: at most 63 of a-z, 0-9 and "-"',
    ],
  ],
  [
    'the name of a port on a local process and a Swarm service',
    'services:\n  a:\n    command: [x]\n    udp_ports: ["53:dns"]\n  b:\n    swarm_service: x\n    ports: ["80:http"]',
    [
      `4:17 error udp_ports[0]: "53:dns" is not [address:]listen:target${NAME_HINT}`,
      `7:13 error ports[0]: "80:http" is not [address:]listen:target${NAME_HINT}`,
    ],
  ],
  [
    'a name that can be no container',
    'services:\n  shop/db: {}',
    [
      '2:3 error services.shop/db: "shop/db" can\'t be the name of a container, which is a name of letters, digits, "_", "." and "-" that begins with a letter or digit; give the container\'s own with container',
    ],
  ],
  [
    'a name that can be no Deployment',
    'backend: kubernetes\nservices:\n  my_db: {}',
    [
      `3:3 error services.my_db: "my_db" can't be the name of a Deployment, which is ${WORKLOAD}; give the Deployment's own with deployment`,
    ],
  ],
  [
    'two services of one Deployment, with and without its namespace, that contradict each other',
    'backend: kubernetes\nkubernetes: {namespaces: [shop]}\nservices:\n  db: { scale: 2 }\n  b:\n    deployment: shop/db\n    scale: 3\n  c:\n    statefulset: shop/db\n    scale: 4',
    [
      '7:12 error scale: service "db" says something else (lazy-proxy.yaml:4:16), and both are Deployment "shop/db", which has one scale for all its services; give it at one of them',
    ],
  ],
  [
    'workloads in namespaces where nobody looks',
    'backend: kubernetes\nkubernetes: {namespaces: [shop, blog]}\nservices:\n  a: {}\n  b: {statefulset: infra/b}\n  c: {deployment: shop/c}\n  d: {container: d}',
    [
      '4:3 warning services.a: Deployment default/a is never found, because only shop, blog are looked at; add "default" to kubernetes.namespaces, or name another',
      '5:20 warning statefulset: StatefulSet infra/b is never found, because only shop, blog are looked at; add "infra" to kubernetes.namespaces, or name another',
    ],
  ],
  [
    'options that do nothing for the kind of workload',
    [
      'services:',
      '  a: {deployment: x, stop_timeout: 1s, cwd: /x}',
      '  b: {swarm_service: x, stop_timeout_secs: 1, service_name: y}',
      '  c: {container: x, upstream: service, env: {}}',
      '  d: {command: [x], ignore_labels: true, service_name: y}',
      '  e: {statefulset: x, ignore_labels: true, service_name: y, upstream: service}',
    ].join('\n'),
    [
      '2:22 warning stop_timeout: has no effect on a Deployment; the terminationGracePeriodSeconds of its pods counts',
      '2:40 warning cwd: has no effect without command',
      '3:25 warning stop_timeout_secs: has no effect on a Swarm service; the stop_grace_period of its containers counts',
      '3:47 warning service_name: has no effect on a Swarm service; it is for Deployments and StatefulSets',
      '4:21 warning upstream: has no effect on a container; it is for Deployments and StatefulSets',
      '4:40 warning env: has no effect without command',
      '5:21 warning ignore_labels: has no effect on a local process, which has no labels',
      '5:42 warning service_name: has no effect on a local process; it is for Deployments and StatefulSets',
    ],
  ],
  ['a dependant whose name is near that of its own hub', 'services:\n  web: { dependants: [wep] }', []],
  [
    'dependants that no service of the file has',
    'services:\n  a: {statefulset: shop/a, dependants: [e1, blog/y, b]}\n  b: {deployment: shop/c, dependants: [c]}\n  d: {swarm_service: d, dependants: [z, A/B, A/B/C]}\n  e: {deployment: e, dependants: [My_DB]}',
    [
      '2:41 warning dependants[0]: "e1" is no service of this file; a Deployment of this name in namespace shop is meant; did you mean "e"?',
      '3:40 error dependants[0]: b → b is a cycle; remove one of the links',
      '4:46 error dependants[2]: "A/B/C" is not namespace/name',
      '5:35 error dependants[0]: "My_DB" is no service of this file, and can\'t be the name of a Deployment',
    ],
  ],
  [
    'a backend that is none',
    'backend: kubernets',
    ['1:10 error backend: "kubernets" is not docker or kubernetes; did you mean "kubernetes"?'],
  ],
  [
    'a backend by the name of an engine that docker serves',
    'backend: podman',
    ['1:10 error backend: "podman" is not docker or kubernetes; write docker'],
  ],
  [
    'a backend without value',
    'backend:',
    ['1:1 error backend: has no value; write docker or kubernetes, or remove the key'],
  ],
  [
    'settings of Kubernetes that are none',
    [
      'kubernetes:',
      '  namespaces: [shop, Blog, a.b]',
      '  labels: 1',
      '  label_prefix: -x',
      '  discover: some',
      '  cluster_domain: cluster_local',
      '  lease_duration: 2s',
      '  lease_namespace: ""',
      '  lease: 1',
    ].join('\n'),
    [
      '2:22 error kubernetes.namespaces[1]: "Blog" is not a name of lower case letters, digits and "-", at most 63 characters',
      '2:28 error kubernetes.namespaces[2]: "a.b" is not a name of lower case letters, digits and "-", at most 63 characters',
      '3:11 error kubernetes.labels: 1 is not true or false',
      '4:17 error kubernetes.label_prefix: "-x" is not a prefix such as lazy-proxy; it takes letters and digits, and between them ".", "_", "-" and "/"',
      '5:13 error kubernetes.discover: "some" is not all or labelled',
      '6:19 error kubernetes.cluster_domain: "cluster_local" is not a domain such as cluster.local',
      '7:19 error kubernetes.lease_duration: "2s" is less than 3s, the least that is safe; the default is 15s',
      '8:20 error kubernetes.lease_namespace: "" is not a name of lower case letters, digits and "-", at most 63 characters',
      '9:3 error kubernetes.lease: unknown key; known are namespaces, labels, label_prefix, discover, cluster_domain, lease_duration, lease_namespace',
    ],
  ],
  [
    'a namespace where a list should be',
    'kubernetes: {namespaces: shop}',
    ['1:26 error kubernetes.namespaces: "shop" is not a list; write ["shop"]'],
  ],
  ['a list where the file should be', '- a', ['1:1 error the file is a list, not a mapping']],
  ['an alias without anchor', 'services: *x', ['1:11 error *x has no anchor; write &x at an earlier value']],
  [
    'a wildcard host without quotes',
    'services: {a: {hosts: [*.home.arpa]}}',
    ['1:24 error *.home.arpa has no anchor; what begins with * needs quotes: write "*.home.arpa"'],
  ],
  [
    'a star alone without quotes',
    'services: {a: {hosts: [a.b, *]}}',
    ['1:29 error not valid YAML: what begins with * needs quotes'],
  ],
  [
    'a path that may not wake without quotes',
    'services:\n  a:\n    http_ports: ["81:80"]\n    wake_paths: [/, !/metrics]',
    [
      '4:21 warning not valid YAML: what begins with ! needs quotes; write "!/metrics"',
      '4:30 error wake_paths[1]: "" is not the begin of a path such as "/docs", or "!/metrics" for one that may not wake',
    ],
  ],
  [
    'a star in a path that may wake',
    'services: {a: {http_ports: ["81:80"], wake_paths: ["/*", "!/app/*", "/a/*/b"]}}',
    [
      '1:52 error wake_paths[0]: "/*" has a *, which stands for nothing here: each path counts that begins so; write "/"',
      '1:58 error wake_paths[1]: "!/app/*" has a *, which stands for nothing here: each path counts that begins so; write "!/app/"',
      '1:69 error wake_paths[2]: "/a/*/b" has a *, which stands for nothing here: each path counts that begins so',
    ],
  ],
  [
    'words that are nearly right',
    'services: {a: {ports: ["81:80"], idle_when: no-traffic, sleep: paused}}',
    [
      '1:45 error idle_when: "no-traffic" is not no_connections or no_traffic; did you mean "no_traffic"?',
      '1:64 error sleep: "paused" is not stop or pause; did you mean "pause"?',
    ],
  ],
  [
    'certificates that are no list',
    'http: {certificates: cert.pem}\nservices: {}',
    [
      '1:22 error http.certificates: "cert.pem" is not a list; write [{ cert: /certs/home.pem, key: /certs/home-key.pem }]',
    ],
  ],
  [
    'one certificate in place of a list',
    'http: {certificates: {cert: a.pem, key: b.pem}}\nservices: {}',
    ['1:22 error http.certificates: a mapping is not a list; write - before cert'],
  ],
  [
    'a busy check in other forms',
    [
      'services:',
      '  a: {command: [x], ports: ["9000:1"], busy_check: "pgrep backup"}',
      '  b: {command: [x], ports: ["9001:1"], busy_check: "http://a/busy"}',
      '  c: {command: [x], ports: ["9002:1"], busy_check: {url: "http://a/", command: x}}',
      '  d: {command: [x], ports: ["9003:1"], busy_check: {}}',
      '  e: {command: [x], ports: ["9004:1"], busy_check: {cmd: x}}',
    ].join('\n'),
    [
      '2:52 error busy_check: text is not a mapping such as {url: "http://{{container}}:8080/busy"} or {command: [pgrep, backup]}, or off; write busy_check: { command: … } with the text as it is',
      '3:52 error busy_check: text is not a mapping such as {url: "http://{{container}}:8080/busy"} or {command: [pgrep, backup]}, or off; write busy_check: { url: … } with the text as it is',
      '4:52 error busy_check: has both, url and command; give one of them',
      '5:52 error busy_check: has neither url nor command; give one of them',
      '6:53 error busy_check.cmd: unknown key; known are url, command',
    ],
  ],
  [
    'broken YAML',
    'services: [',
    [
      '1:12 error not valid YAML: Flow sequence in block collection must be sufficiently indented and end with a ]',
    ],
  ],
  ['an empty file', '', ['1:1 error the file is empty; write "services: {}" if no service is meant']],
  [
    'a file of comments',
    '# x\n\n',
    ['1:1 error the file is empty; write "services: {}" if no service is meant'],
  ],
];

test('reads HTTP statuses as a list, as text and as a number', () => {
  const statusesOf = (value: string) => {
    const text = `services:\n  a: { http_healthcheck_status: ${value} }\n`;
    return serviceOf(tableOf({ text }), 'a').httpHealthcheckStatus;
  };
  const listed = statusesOf('[200-299, 401, "301,302"]');
  expect(listed.map(({ first, last }) => [first, last])).toEqual([
    [200, 299],
    [401, 401],
    [301, 301],
    [302, 302],
  ]);
  expect(statusesOf('"200-299, 401,301,302"')).toEqual(listed);
  expect(statusesOf('204')).toEqual([{ first: 204, last: 204 }]);
});

describe('parseConfigFile', () => {
  test.each(MISTAKES)('reports %s', (_name, text, expected) => {
    expect(problemsOf(text)).toEqual(expected.map((line) => `lazy-proxy.yaml:${line}`));
  });

  test('reports all mistakes at once, by position, when there are many', () => {
    const text = MISTAKES.slice(0, 3)
      .map(([, part], index) => part.replace('services:\n  db:', `  db${index}:`))
      .join('\n');
    expect(problemsOf(`services:\n${text}\nstatuss: 1`)).toEqual([
      `lazy-proxy.yaml:3:13 error ports[0]: "80:http" is not [address:]listen:target${NAME_HINT}`,
      'lazy-proxy.yaml:5:13 error ports[0]: 5432 is not [address:]listen:target; write "5432:5432"',
      'lazy-proxy.yaml:7:13 error ports[0]: "70000:1": port 70000 is outside 1–65535',
      'lazy-proxy.yaml:7:24 error ports[1]: "1:0": port 0 is outside 1–65535',
      'lazy-proxy.yaml:8:1 error statuss: unknown key; did you mean "status"?',
    ]);
  });

  test('refuses the whole file when one service is wrong', () => {
    expect(parse({ text: 'services: {a: {ports: ["1"]}, b: {}}', file: 'f' }).config).toBeUndefined();
  });

  test('gives a configuration beside warnings', () => {
    const { config, problems } = parse({ text: 'services: {a: {cwd: /x}}', file: 'f' });
    expect(config?.services.map(({ name }) => name)).toEqual(['a']);
    expect(problems).toHaveLength(1);
  });

  test('points into the anchor when an aliased or merged value is wrong', () => {
    const text = [
      'x-base: &base',
      '  idle_timeout: nope',
      'x-list: &list ["1.2.3"]',
      'services:',
      '  a: {<<: *base, allow_list: *list}',
      '  b:',
      '    <<: [*base]',
    ].join('\n');
    expect(problemsOf(text)).toEqual([
      expect.stringContaining('lazy-proxy.yaml:2:17 error idle_timeout: "nope"'),
      expect.stringContaining('lazy-proxy.yaml:3:16 error allow_list[0]: "1.2.3"'),
    ]);
  });

  test('lets own keys win over merged ones, and earlier merges over later ones', () => {
    const text = [
      'x-a: &a {idle_timeout: 1, max_pending: 1, start_timeout: 1}',
      'x-b: &b {idle_timeout: 2, max_pending: 2, stop_timeout: 2}',
      'services:',
      '  s:',
      '    max_pending: 3',
      '    <<: [*a, *b]',
    ].join('\n');
    const service = aFile(text).services[0];
    expect(service?.draft.max_pending).toEqual({
      value: 3,
      origin: { kind: 'file', file: 'lazy-proxy.yaml', line: 5, column: 18 },
    });
    expect(service?.draft.idle_timeout?.origin).toMatchObject({ line: 1, column: 24 });
    expect(service?.draft.stop_timeout).toMatchObject({ value: 2_000, origin: { line: 2 } });
  });

  test('leaves top-level keys that begin with x- alone', () => {
    expect(problemsOf('x-anything: [1, {a: 2}]\nservices: {}')).toEqual([]);
  });

  test('takes many uses of one anchor', () => {
    const services = Array.from(
      { length: 3_000 },
      (_, index) => `  s${index}: {<<: *base, ports: ["${index + 1}:80"]}`,
    );
    expect(aFile(`x-base: &base {idle_timeout: 5}\nservices:\n${services.join('\n')}`).services).toHaveLength(
      3_000,
    );
  });

  test('refuses an alias bomb', () => {
    const levels = Array.from({ length: 12 }, (_, level) =>
      level === 0
        ? 'x-0: &a0 [1]'
        : `x-${level}: &a${level} [${Array(10)
            .fill(`*a${level - 1}`)
            .join(', ')}]`,
    );
    expect(problemsOf(levels.join('\n'))).toEqual([
      'lazy-proxy.yaml:1:1 error its aliases unfold to more than 5000000 values',
    ]);
  });

  test('gives up on a chain of merges whose keys have no end in sight, and reads one that has', () => {
    const chain = (length: number) =>
      Array.from({ length }, (_, index) => `x-${index}: &m${index} {<<: *m${index - 1}, k${index}: 1}\n`)
        .join('')
        .replace('<<: *m-1, ', '');
    expect(problemsOf(`${chain(500)}services: { a: { container: c, cron_start: "0 0 1 1 *" } }`)).toEqual([]);
    expect(problemsOf(chain(4_000))).toEqual([
      'lazy-proxy.yaml:1:1 error its aliases unfold to more than 5000000 values',
    ]);
  });

  test('counts the ports of all services before it makes listeners of them', () => {
    const lines = Array.from(
      { length: 3_000 },
      (_, index) => `  s${index}: { ports: ["127.1.${index >> 8}.${index & 255}:1-65535:1-65535"] }\n`,
    );
    const problems = problemsOf(`status: off\nservices:\n${lines.join('')}  last: { ports: ["x"] }\n`);
    expect(problems).toEqual([
      'lazy-proxy.yaml:4:17 error ports[0]: "127.1.0.1:1-65535:1-65535": the file asks for 196,605,001 ports, and can have 65,536 in all',
      'lazy-proxy.yaml:3003:19 error ports[0]: "x" is not [address:]listen:target',
    ]);
  });

  test('gives up on an anchor that merges itself', () => {
    expect(problemsOf('services: {a: &a {<<: *a}}')).toEqual([
      "lazy-proxy.yaml:1:23 error <<: a mapping can't be merged into itself",
    ]);
    expect(problemsOf('x-a: &a [*a]')).toEqual([
      'lazy-proxy.yaml:1:10 error an alias to what it stands in has no end',
    ]);
  });

  test('says so when what is merged is no mapping, and when nesting has no end in sight', () => {
    expect(problemsOf('services: {a: {<<: 3}}')).toEqual([
      'lazy-proxy.yaml:1:20 error <<: only a mapping, an alias to one, or a list of these can be merged',
    ]);
    expect(problemsOf('['.repeat(100_000))).not.toEqual([]);
  });

  test("reads the Go project's file unchanged", () => {
    const text = [
      'services:',
      '  - name: "my-container"',
      '    ports:',
      '      - "9000:80"',
      '    udp_ports:',
      '      - "5353:53"',
      '    allow_list: ["192.168.0.0/24"]',
      '    block_list: ["10.0.0.1"]',
      '    idle_timeout_secs: 60',
      '    start_timeout_secs: 30',
      '    webhook_url: "https://example.com/hook"',
      '    dependants: ["other-service"]',
      '    cron_start: "0 9 * * 1-5"',
      '    cron_stop:  "0 17 * * 1-5"',
      '    http_healthcheck: "http://{{container}}:8080/health"',
      '  - name: other-service',
      '    ports: ["9001:80"]',
    ].join('\n');
    expect(problemsOf(text)).toEqual([]);
    const service = serviceOf(tableOf({ text }), 'my-container');
    expect(service).toMatchObject({
      workload: { kind: 'docker', container: 'my-container' },
      listeners: [
        { protocol: 'tcp', address: '', port: 9000, targetPort: 80 },
        { protocol: 'udp', address: '', port: 5353, targetPort: 53 },
      ],
      idleTimeoutMs: 60_000,
      startTimeoutMs: 30_000,
      dependants: ['other-service'],
      cronStart: '0 9 * * 1-5',
    });
  });

  test.each([
    ['flag', { backend: 'kubernetes' }, {}],
    ['variable', {}, { LAZY_PROXY_BACKEND: 'kubernetes' }],
    ['pod', {}, { KUBERNETES_SERVICE_HOST: '10.0.0.1' }],
  ] as const)('knows from the %s what a service is that does not say so', (_name, flags, env) => {
    const { environment } = parseEnvironment(env);
    const text = 'services: {shop/db: {ports: ["80:http"]}}';
    expect(createFileParser({ environment, flags })({ text, file: 'f' }).problems).toEqual([]);
    expect(parse({ text, file: 'f' }).problems).toHaveLength(2);
  });

  test('goes by the namespaces of K8S_NAMESPACE', () => {
    const { environment } = parseEnvironment({ K8S_NAMESPACE: 'shop' });
    const text = 'services: {a: {deployment: db, scale: 1}, b: {deployment: shop/db, scale: 2}}';
    const { problems } = createFileParser({ environment, flags: {} })({ text, file: 'f' });
    expect(problems.map(({ code }) => code)).toEqual(['duplicate-workload']);
  });

  test("takes a relative cwd from the file's folder", () => {
    const cwdIn = (cwd: string) =>
      parse({ text: `services: {a: {command: [x], cwd: ${cwd}}}`, file: 'f', folder: '/srv' }).config
        ?.services[0]?.draft.cwd?.value;
    expect([cwdIn('./app'), cwdIn('/opt')]).toEqual(['/srv/app', '/opt']);
  });

  test('reads the settings', () => {
    const text =
      'status: off\ndocker: {socket: /x, labels: false, label_prefix: a.b, join_networks: false, label_urls: [10.1.2.3/8, Hooks.LAN., "::1"]}';
    expect(aFile(text).settings).toMatchObject({
      status: { value: 'off', origin: { line: 1, column: 9 } },
      'docker.socket': { value: '/x' },
      'docker.labels': { value: false },
      'docker.label_prefix': { value: ['a.b'] },
      'docker.join_networks': { value: false },
      'docker.label_urls': { value: ['10.0.0.0/8', 'hooks.lan', '::1'] },
    });
    expect(aFile('status: {listen: "[::1]:81"}').settings.status?.value).toEqual({
      address: '::1',
      port: 81,
    });
  });
});

test('each mapping of a list has its own origin', () => {
  const text = 'webhooks:\n  - url: http://a.example/\n  - &b\n    url: http://b.example/\n  - *b\n';
  const { config } = parse({ text, file: 'f' });
  const { origin = { kind: 'default' } } = config?.settings.webhooks ?? {};
  expect([0, 1, 2, 3].map((index) => describeOrigin(originOfItem(origin, index)))).toEqual([
    'f:2:5',
    'f:4:5',
    'f:4:5',
    'f:2:3',
  ]);
});
