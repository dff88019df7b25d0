import { describe, expect, test } from 'vitest';
import { runProgram } from '../../support/run-program.ts';
import { createFolder } from './folder.ts';

/** Each kind of mistake: what the file says, and every line that `validate` prints without the source it shows. */
const MISTAKES: readonly (readonly [kind: string, text: string, lines: readonly string[]])[] = [
  [
    'YAML that can not be read',
    'services:\n  a:\n    ports: ["80:80"\n  b: {}\n',
    [
      'f.yaml:4:3 error not valid YAML: Flow sequence in block collection must be sufficiently indented and end with a ]',
    ],
  ],
  [
    'an empty file',
    '# nothing\n',
    ['f.yaml:1:1 error the file is empty; write "services: {}" if no service is meant'],
  ],
  [
    'a key given twice',
    'services:\n  a:\n    idle_timeout: 1m\n    idle_timeout: 2m\n',
    ['f.yaml:4:5 error the key "idle_timeout" is given twice; keep one of them'],
  ],
  [
    'an unknown key that is a slip of the finger',
    'services:\n  a:\n    idle_timout: 5m\n',
    ['f.yaml:3:5 error idle_timout: unknown key; did you mean "idle_timeout"?'],
  ],
  [
    'an unknown key at the top',
    'servces: {}\n',
    ['f.yaml:1:1 error servces: unknown key; did you mean "services"?'],
  ],
  [
    'a setting that is a slip of the finger',
    'rely: splice\n',
    ['f.yaml:1:1 error rely: unknown key; did you mean "relay"?'],
  ],
  [
    'a key at the top that is like no other',
    'zzz: 1\n',
    [
      'f.yaml:1:1 error zzz: unknown key; known are defaults, status, backend, relay, udp_queue_total, max_starting, limits, groups, webhooks, trusted_proxies, http, traefik, state_dir, docker, kubernetes, services; a service goes under services',
    ],
  ],
  [
    'keys of a service that are like no other, or like some',
    'services:\n  a: { ports: ["80:80"], zzzzzz: 1, timeout: 1 }\ndefaults: { check-health-http: 1 }\n',
    [
      'f.yaml:2:26 error zzzzzz: unknown key; docs/configuration.md has them all',
      'f.yaml:2:37 error timeout: unknown key; perhaps idle_timeout, start_timeout, stop_timeout or udp_flow_timeout is meant; docs/configuration.md has them all',
      'f.yaml:3:13 error defaults.check-health-http: unknown key; perhaps busy_check, http_healthcheck or http_healthcheck_status is meant; docs/configuration.md has them all',
    ],
  ],
  [
    'a port in place of what has one, and a target where there is none',
    'http: "80"\nstatus: 8080\nservices:\n  a: { ports: ["80:80"] }\n',
    [
      'f.yaml:1:7 error http: "80" is not a mapping; write http: {listen: "80"}',
      'f.yaml:2:9 error status: 8080 is not off or a mapping such as {listen: "0.0.0.0:8080"}; write status: {listen: "8080"}',
    ],
  ],
  [
    'targets where the proxy itself listens',
    'http: { listen: "8081:80" }\nstatus: { listen: "8080:80" }\nservices:\n  a: { ports: ["80:80"] }\n',
    [
      'f.yaml:1:17 error http.listen: "8081:80": "8081" is not an IP address; there is no target port here: write "8081"',
      'f.yaml:2:19 error status.listen: "8080:80": "8080" is not an IP address; there is no target port here: write "8080"',
    ],
  ],
  [
    'a key of a service among the defaults',
    'defaults: { ports: ["80:80"] }\n',
    ['f.yaml:1:13 error defaults.ports: belongs to a service, not to defaults'],
  ],
  [
    'a setting of the whole proxy among the defaults, or in a service',
    'defaults: { max_starting: 2, label_prefix: x }\nservices:\n  a: { relay: stream, join_networks: true, lease_duration: 9s }\n',
    [
      'f.yaml:1:13 error defaults.max_starting: belongs to the top of the file, not to defaults',
      'f.yaml:1:30 error defaults.label_prefix: belongs to docker or to kubernetes, not to defaults',
      'f.yaml:3:8 error relay: belongs to the top of the file, not to a service',
      'f.yaml:3:23 error join_networks: belongs to docker, not to a service',
      'f.yaml:3:44 error lease_duration: belongs to kubernetes, not to a service',
    ],
  ],
  [
    'prefixes of labels that are none',
    'docker: { label_prefix: [] }\nkubernetes: { label_prefix: [a, a.b, a, "c."] }\n',
    [
      'f.yaml:1:25 error docker.label_prefix: [] names no prefix; labels: false leaves the labels out',
      'f.yaml:2:41 error kubernetes.label_prefix[3]: "c." is not a prefix such as lazy-proxy; write "c"',
    ],
  ],
  [
    'prefixes of labels that get into each other',
    'docker: { label_prefix: "a, b" }\nkubernetes: { label_prefix: [a, a.b, a] }\n',
    [
      'f.yaml:1:25 error docker.label_prefix: "a, b" is not a prefix such as lazy-proxy; write [a, b]',
      'f.yaml:2:33 error kubernetes.label_prefix[1]: "a.b" and "a" can\'t stand together, because a.b.ports would be a label of both; leave one of them out',
      'f.yaml:2:38 error kubernetes.label_prefix[2]: "a" is there already; leave it out',
    ],
  ],
  [
    'a field of a service elsewhere',
    'idle_timeout: 5m\nports: ["80:80"]\ndocker: { start_timeout: 5s, max_starting: 2 }\n',
    [
      'f.yaml:1:1 error idle_timeout: belongs to a service or to defaults, not to the top of the file',
      'f.yaml:2:1 error ports: belongs to a service, not to the top of the file',
      'f.yaml:3:11 error docker.start_timeout: belongs to a service or to defaults, not to docker',
      'f.yaml:3:30 error docker.max_starting: belongs to the top of the file, not to docker',
    ],
  ],
  [
    'HTTP statuses that are none',
    'services:\n  a: { http_healthcheck_status: [200, 99] }\n  b: { http_healthcheck_status: [] }\n  c: { http_healthcheck_status: ok }\n',
    [
      'f.yaml:2:39 error http_healthcheck_status[1]: 99 is none of the HTTP statuses from 100 to 599, such as 204, "200-399,401" or ["200-399", 401]',
      'f.yaml:3:33 error http_healthcheck_status: the list is empty; write HTTP statuses such as "200-399,401" or ["200-399", 401]',
      'f.yaml:4:33 error http_healthcheck_status: "ok" is none of the HTTP statuses from 100 to 599, such as 204, "200-399,401" or ["200-399", 401]',
    ],
  ],
  [
    'a port that is no number',
    'services: { a: { ports: ["80:http"] } }\n',
    [
      `f.yaml:1:26 error ports[0]: "80:http" is not [address:]listen:target; a port's name can be used for Kubernetes workloads only`,
    ],
  ],
  [
    'a lone port',
    'services: { a: { ports: [80] } }\n',
    ['f.yaml:1:26 error ports[0]: 80 is not [address:]listen:target; write "80:80"'],
  ],
  [
    'ports outside 1–65535, all of them at once',
    'services: { a: { ports: ["0:80", "81:70000"], udp_ports: ["65536:1"] } }\n',
    [
      'f.yaml:1:26 error ports[0]: "0:80": port 0 is outside 1–65535',
      'f.yaml:1:34 error ports[1]: "81:70000": port 70000 is outside 1–65535',
      'f.yaml:1:59 error udp_ports[0]: "65536:1": port 65536 is outside 1–65535',
    ],
  ],
  [
    'ranges of unequal length',
    'services: { a: { ports: ["9000-9002:8000-8001"] } }\n',
    [
      'f.yaml:1:26 error ports[0]: "9000-9002:8000-8001": 3 listen ports and 2 target ports; both ranges must have the same length',
    ],
  ],
  [
    'a listen address that is none',
    'services: { a: { ports: ["localhost:80:80"] } }\n',
    [
      'f.yaml:1:26 error ports[0]: "localhost:80:80": "localhost" is not an IP address; write "127.0.0.1:80:80"',
    ],
  ],
  [
    'a CIDR range that is none',
    'services: { a: { ports: ["80:80"], allow_list: [10.0.0/8], block_list: ["::1/129"] } }\n',
    [
      'f.yaml:1:49 error allow_list[0]: "10.0.0/8" is not an IP address or CIDR range such as 192.168.0.0/16',
      'f.yaml:1:73 error block_list[0]: "::1/129" is not an IP address or CIDR range such as 192.168.0.0/16',
    ],
  ],
  [
    'a duration that is none',
    'services: { a: { ports: ["80:80"], idle_timeout: 5 minutes, start_timeout: 0 } }\n',
    [
      'f.yaml:1:50 error idle_timeout: "5 minutes" is not a duration such as 90 (seconds), "90s", "1h30m" or "500ms"; write "5m"',
      'f.yaml:1:76 error start_timeout: 0 is not more than 0; it must be a duration such as 90 (seconds), "90s", "1h30m" or "500ms"',
    ],
  ],
  [
    'cron expressions that are none',
    'services: { a: { cron_start: "30 8 * *", cron_stop: "61 8 * * *" } }\n',
    [
      'f.yaml:1:30 error cron_start: "30 8 * *" has 4 fields, not five fields: minute hour day-of-month month day-of-week, such as "30 8 * * 1-5"',
      'f.yaml:1:53 error cron_stop: "61 8 * * *" is not a cron expression: minute 61 is outside 0–59',
    ],
  ],
  [
    'a time zone that nobody knows',
    'services: { a: { ports: ["80:80"], timezone: Europe/Pariss } }\n',
    [
      'f.yaml:1:46 error timezone: "Europe/Pariss" is not a known time zone such as Europe/Paris or UTC; did you mean "Europe/Paris"?',
    ],
  ],
  [
    'a cycle of dependants',
    'services:\n  a: { dependants: [b] }\n  b: { dependants: [a] }\n',
    ['f.yaml:3:21 error dependants[0]: a → b → a is a cycle; remove one of the links'],
  ],
  [
    'two services on one port',
    'services:\n  a: { ports: ["80:80"] }\n  b: { ports: ["127.0.0.1:80:81"] }\n',
    [
      'f.yaml:3:16 error ports[0]: "127.0.0.1:80:81" listens on tcp 127.0.0.1:80, which service "a" does already (f.yaml:2:16)',
    ],
  ],
  [
    'a service that is container and process at once',
    'services: { a: { command: [x], container: y, ports: ["80:80"] } }\n',
    [
      'f.yaml:1:18 error command: given beside container; a service is one of these: a container, a Swarm service (swarm_service), a Deployment, a StatefulSet, or a local process (command)',
    ],
  ],
  [
    'a backend that there is not, and settings of Kubernetes that can not be used',
    'backend: k8s\nkubernetes: { namespaces: shop, lease_duration: 1s, discover: none }\n',
    [
      'f.yaml:1:10 error backend: "k8s" is not docker or kubernetes',
      'f.yaml:2:27 error kubernetes.namespaces: "shop" is not a list; write ["shop"]',
      'f.yaml:2:49 error kubernetes.lease_duration: "1s" is less than 3s, the least that is safe; the default is 15s',
      'f.yaml:2:63 error kubernetes.discover: "none" is not all or labelled',
    ],
  ],
  [
    'a name of a Deployment, and of a port, that Kubernetes does not allow',
    'services: { a: { deployment: Shop_DB, ports: ["80:Http"] } }\n',
    [
      'f.yaml:1:30 error deployment: "Shop_DB" is not name or namespace/name, of lower case letters, digits and "-", such as db or shop/db',
      `f.yaml:1:47 error ports[0]: "80:Http" is not [address:]listen:target; a target is a port's number, or its name in the Service: at most 63 of a-z, 0-9 and "-"`,
    ],
  ],
  [
    'a keepalive that the kernel does not take',
    'services: { a: { ports: ["80:80"], tcp_keepalive: 500ms }, b: { ports: ["81:80"], tcp_keepalive_secs: 32768 }, c: { ports: ["82:80"], tcp_keepalive: 0 } }\n',
    [
      'f.yaml:1:51 error tcp_keepalive: "500ms" is not within 1s to 32767s, which is what the kernel takes; 0 asks nobody',
      'f.yaml:1:103 error tcp_keepalive_secs: 32768 is not within 1s to 32767s, which is what the kernel takes; 0 asks nobody',
    ],
  ],
  [
    'a timeout in both spellings',
    'services: { a: { ports: ["80:80"], idle_timeout: 5, idle_timeout_secs: 5 } }\n',
    ['f.yaml:1:53 error idle_timeout_secs: given beside idle_timeout; keep one of them'],
  ],
];

/** What new users write first. */
const FIRST_STEPS: typeof MISTAKES = [
  [
    'what guards a service in lazy-tcp-proxy',
    'services:\n  a: { ports: ["80:80"], tls: true, api_key: s3cret, basic_auth: "a:b" }\n  b: { ports: ["81:80"], tls: }\n',
    [
      'f.yaml:2:66 error basic_auth: the password of "a" is not a bcrypt hash ($2y$12$… with 60 characters); htpasswd -nbBC 12 a PASSWORD makes the entry',
      'f.yaml:3:26 error tls: has no value; write true, false or a mapping such as {cert: /certs/db.pem, key: /certs/db-key.pem}, or remove the key',
    ],
  ],
  [
    'empty values',
    'status: off\nservices:\n',
    ['f.yaml:2:1 error services: has no value; write {} if no service is meant'],
  ],
  [
    'other empty values',
    'services:\n  a:\n    ports:\n    dependants:\n    cron_start:\n    webhook_url:\n',
    [
      'f.yaml:3:5 error ports: has no value; write [] for none, or remove the key',
      'f.yaml:4:5 error dependants: has no value; write [] for none, or remove the key',
      'f.yaml:5:5 error cron_start: has no value; write a cron expression such as "30 8 * * 1-5", or remove the key',
      'f.yaml:6:5 error webhook_url: has no value; write "" for none, or remove the key',
    ],
  ],
  [
    'ports with commas between, as a label has them',
    'services:\n  a: { ports: "22950:80, 22951:81", allow_list: "10.0.0.1" }\n',
    [
      'f.yaml:2:15 error ports: "22950:80, 22951:81" is not a list; write ["22950:80", "22951:81"]',
      'f.yaml:2:49 error allow_list: "10.0.0.1" is not a list; write ["10.0.0.1"]',
    ],
  ],
  [
    'a service that is never to sleep',
    'services:\n  a: { ports: ["80:80"], idle_timeout: never }\n  b: { ports: ["81:80"], idle_timeout_secs: never }\n',
    [
      'f.yaml:2:40 error idle_timeout: "never" is not a duration such as 90 (seconds), "90s", "1h30m" or "500ms"; to keep the service awake once it is, write a long one such as "52w"',
      'f.yaml:3:45 error idle_timeout_secs: "never" is not a number of seconds such as 90; to keep the service awake once it is, write many, such as 31449600 for 52 weeks',
    ],
  ],
  [
    'schedules that robfig/cron would not take',
    'services:\n  a: { cron_start: "@dayly", cron_stop: "@every soon" }\n  b: { cron_start: "@every 500ms", cron_stop: "CRON_TZ=Paris 30 8 * * *" }\n',
    [
      'f.yaml:2:20 error cron_start: "@dayly" is not a cron expression; did you mean "@daily"?',
      'f.yaml:2:41 error cron_stop: "@every soon": "soon" is not a duration such as 90 (seconds), "90s", "1h30m" or "500ms"',
      'f.yaml:3:20 error cron_start: "@every 500ms" is more often than once a second; write "@every 1s"',
      'f.yaml:3:47 error cron_stop: "CRON_TZ=Paris 30 8 * * *": "Paris" is not a known time zone such as Europe/Paris or UTC; did you mean "Europe/Paris"?',
    ],
  ],
  [
    'a service pasted from Compose',
    'services:\n  db:\n    image: postgres\n    ports: ["5432:5432"]\n    volumes: [d:/d]\n    environment: { A: b }\nvolumes: { d: {} }\n',
    [
      'f.yaml:3:5 error image: belongs to Compose, as do volumes and environment; here a service has container, ports, idle_timeout and so on, and Compose makes the container itself',
    ],
  ],
  [
    'a whole file of Compose',
    'version: "3"\nservices:\n  a: { image: x, restart: always, labels: { a: b } }\n  b: { build: ., depends_on: [a], user: x, tty: true, env_file: y }\n',
    [
      'f.yaml:3:8 error image: belongs to Compose, as do restart, labels, build, user, tty and 2 more; here a service has container, ports, idle_timeout and so on, and Compose makes the container itself',
    ],
  ],
  [
    'services at the margin',
    'services:\ndb:\n  container: x\nweb:\n',
    [
      'f.yaml:2:1 error db: stands beside services; indent it under services',
      'f.yaml:4:1 error web: stands beside services; indent it under services',
    ],
  ],
  [
    "a service's fields beside it",
    'services:\n  db:\n  container: x\n  ports: ["80:80"]\n',
    [
      'f.yaml:3:3 error services.container: belongs to a service; indent it under "db"',
      'f.yaml:4:3 error services.ports: belongs to a service; indent it under "db"',
    ],
  ],
  [
    'ports as mappings',
    'services:\n  db:\n    ports:\n      - 22: 22\n      - target: 53\n        published: 5353\n        protocol: udp\n',
    [
      'f.yaml:4:9 error ports[0]: a mapping is not [address:]listen:target; write "22:22"',
      'f.yaml:5:9 error ports[1]: a mapping is not [address:]listen:target; write "5353:53" under udp_ports',
    ],
  ],
  [
    'names in place of addresses',
    'status: { listen: "localhost:81" }\nservices:\n  db: { ports: ["localhost:83:80", "*:84:80"] }\n',
    [
      'f.yaml:1:19 error status.listen: "localhost:81": "localhost" is not an IP address; write "127.0.0.1:81"',
      'f.yaml:3:17 error ports[0]: "localhost:83:80": "localhost" is not an IP address; write "127.0.0.1:83:80"',
      'f.yaml:3:36 error ports[1]: "*:84:80": "*" is not an IP address; write "84:80" to listen on all',
    ],
  ],
  [
    'durations in words',
    'services:\n  a: { idle_timeout: 5 min, start_timeout: 1 Hour 30 seconds, stop_timeout: never, udp_queue_age: 99999999999, tcp_keepalive: never }\n  b: { idle_timeout: 1d, start_timeout: soon }\n',
    [
      'f.yaml:2:22 error idle_timeout: "5 min" is not a duration such as 90 (seconds), "90s", "1h30m" or "500ms"; write "5m"',
      'f.yaml:2:44 error start_timeout: "1 Hour 30 seconds" is not a duration such as 90 (seconds), "90s", "1h30m" or "500ms"; write "1h30s"',
      'f.yaml:2:77 error stop_timeout: "never" is not a duration such as 90 (seconds), "90s", "1h30m" or "500ms"; there is no end to write, so write a long one such as "52w"',
      'f.yaml:2:99 error udp_queue_age: 99999999999 is not a duration such as 90 (seconds), "90s", "1h30m" or "500ms"; at most 999999999 seconds, which are some 31 years',
      'f.yaml:2:127 error tcp_keepalive: "never" is no time; write 0',
      'f.yaml:3:41 error start_timeout: "soon" is not a duration such as 90 (seconds), "90s", "1h30m" or "500ms"',
    ],
  ],
  [
    'no space after a colon',
    'services:\n  a:\n    container:x\n  b:\n    ports: []\n    container:x\n',
    ['f.yaml:6:5 error not valid YAML: a space is missing after the colon; write container: x'],
  ],
  [
    'a service that is all one word',
    'services:\n  a:\n    container:x\n',
    [
      'f.yaml:3:5 error services.a: "container:x" is not a mapping; a space is missing after the colon: write container: x',
    ],
  ],
  [
    'no space after a dash',
    'services:\n  a:\n    ports:\n      - "1:1"\n      -"5432:5432"\n',
    ['f.yaml:5:7 error not valid YAML: a space is missing after the dash; write - "5432:5432"'],
  ],
  [
    'no space after any dash',
    'services:\n  a:\n    ports:\n      -"5432:5432"\n      -"5433:5433"\n',
    [
      `f.yaml:4:7 error ports: "-\\"5432:5432\\" -\\"5433:5433\\"" is not a list; a space is missing after the dash: write - "5432:5432"`,
    ],
  ],
  [
    'cron expressions without quotes',
    'services:\n  a:\n    cron_start: * * * * *\n    cron_stop: */5 * * * * # often\n',
    [
      'f.yaml:3:17 error not valid YAML: what begins with * needs quotes; write "* * * * *"',
      'f.yaml:4:16 error not valid YAML: what begins with * needs quotes; write "*/5 * * * *"',
    ],
  ],
  [
    'names of days and months in full, and none',
    'services:\n  a: { cron_start: "30 8 * * Monday-friday", cron_stop: "0 0 1 January *" }\n  b: { cron_start: "30 8 * * Blursday" }\n',
    [
      'f.yaml:2:20 error cron_start: "30 8 * * Monday-friday" is not a cron expression; write "30 8 * * MON-FRI"',
      'f.yaml:2:57 error cron_stop: "0 0 1 January *" is not a cron expression; write "0 0 1 JAN *"',
      'f.yaml:3:20 error cron_start: "30 8 * * Blursday" is not a cron expression: "Blursday" is no day, month or number',
    ],
  ],
  [
    'time zones nearly right',
    'services:\n  a: { ports: ["80:80"], timezone: Europe/Berln }\n  b: { ports: ["81:80"], timezone: new york }\n  c: { ports: ["82:80"], timezone: Mars }\n',
    [
      'f.yaml:2:36 error timezone: "Europe/Berln" is not a known time zone such as Europe/Paris or UTC; did you mean "Europe/Berlin"?',
      'f.yaml:3:36 error timezone: "new york" is not a known time zone such as Europe/Paris or UTC; did you mean "America/New_York"?',
      'f.yaml:4:36 error timezone: "Mars" is not a known time zone such as Europe/Paris or UTC',
    ],
  ],
  [
    'anchors that are not there',
    'services:\n  a: { <<: *x }\n  b: { <<: [*y] }\n',
    [
      'f.yaml:2:12 error *x has no anchor; write &x at an earlier value',
      'f.yaml:3:13 error *y has no anchor; write &y at an earlier value',
    ],
  ],
  [
    'variables, but not in a command, whose shell may mean its own',
    `status: { listen: "$PORT" }\nservices:\n  a: { ports: ["\${PORT}:5432"], idle_timeout: "\${IDLE:-5m}", udp_ports: $PORTS }\n  b: { ports: ["81:80"], command: [sh, -c, "echo \${PORT}"] }\n`,
    [
      `f.yaml:1:19 error status.listen: "$PORT" is not [address:]port such as "0.0.0.0:8080"; variables aren't replaced in this file: write the value itself, or generate the file`,
      `f.yaml:3:16 error ports[0]: "\${PORT}:5432" is not [address:]listen:target; variables aren't replaced in this file: write the value itself, or generate the file`,
      `f.yaml:3:47 error idle_timeout: "\${IDLE:-5m}" is not a duration such as 90 (seconds), "90s", "1h30m" or "500ms"; variables aren't replaced in this file: write the value itself, or generate the file`,
      `f.yaml:3:73 error udp_ports: "$PORTS" is not a list; variables aren't replaced in this file: write the value itself, or generate the file`,
    ],
  ],
  ['10,000 levels of nesting', '['.repeat(10_000), ['f.yaml:1:1 error the file is nested too deeply']],
  [
    '10,000 levels of nesting that end',
    `x-a: ${'['.repeat(10_000)}${']'.repeat(10_000)}\n`,
    ['f.yaml:1:1 error the file is nested too deeply'],
  ],
  [
    'flags of YAML 1.1',
    'services:\n  a: { ports: ["80:80"], ignore_labels: yes, dependant_of_labels: "false" }\n  b: { ignore_labels: 1 }\n',
    [
      'f.yaml:2:41 error ignore_labels: "yes" is not true or false; write true',
      'f.yaml:2:67 error dependant_of_labels: "false" is not true or false; write false',
      'f.yaml:3:23 error ignore_labels: 1 is not true or false',
    ],
  ],
  [
    'a URL with a password as a key',
    'docker: { "https://u:T0KEN@h/T0KEN": 1 }\nservices:\n  "https://u:T0KEN@h/T0KEN": { ports: ["80:80"] }\n',
    [
      'f.yaml:1:11 error docker.https://h/…: unknown key; known are socket, labels, image_labels, label_prefix, join_networks, label_urls',
      'f.yaml:3:3 error services.https://h/…: "https://h/…" is not namespace/name',
    ],
  ],
  [
    'replicas that no service can have',
    `services:
  a: { swarm_service: a, ports: ["80:80"], scale: 0 }
  b: { deployment: b, ports: ["81:80"], scale: 1001 }
  c: { statefulset: c, ports: ["82:80"], scale: "3" }
`,
    [
      'f.yaml:2:51 error scale: 0 is not a whole number from 1 to 1000',
      'f.yaml:3:48 error scale: 1001 is not a whole number from 1 to 1000',
      'f.yaml:4:49 error scale: "3" is not a whole number from 1 to 1000',
    ],
  ],
  [
    'who starts and stops a service, misspelt',
    `services:
  a: { ports: ["80:80"], availability: on-demand }
  b: { ports: ["81:80"], availability: Manually }
  c: { ports: ["82:80"], availability: [cron] }
  d: { ports: ["83:80"], availability: yes }
`,
    [
      'f.yaml:2:40 error availability: "on-demand" is not on_demand, schedule or manual; did you mean "on_demand"?',
      'f.yaml:3:40 error availability: "Manually" is not on_demand, schedule or manual; did you mean "manual"?',
      'f.yaml:4:40 error availability: a list is not on_demand, schedule or manual',
      'f.yaml:5:40 error availability: "yes" is not on_demand, schedule or manual',
    ],
  ],
];

const WARNINGS: typeof MISTAKES = [
  [
    'a file of lazy-tcp-proxy with all that it may hold',
    `services:
  - name: a
    ports: [" 22950 : 80 ", "22951:81 "]
    udp_ports: ["127.0.0.1 : 53 : 5353"]
    allow_list:
    block_list:
    cron_start: ""
    cron_stop: ""
    tls: false
    api_key: ""
    basic_auth: ""
    traefik_hosts: ""
  - name: b
    ports: ["22952:80"]
    cron_start: "@daily"
    cron_stop: "@every 1h"
    traefik_hosts: a.example.com:22952
    traefik_tcp_hosts: [b.example.com:22953]
  - { name: c, cron_start: "CRON_TZ=Europe/Paris 30 8 * * *", cron_stop: "TZ=Asia/Tokyo @midnight" }
`,
    [
      'f.yaml:18:5 warning traefik_tcp_hosts: gives b.example.com port 22953, which is no listen port under ports or http_ports of this service; Traefik is not told of it',
      'f.yaml: ok, 3 services, 4 listeners',
    ],
  ],
  [
    'the file that lazy-tcp-proxy makes',
    '# Services\nservices:\n  # - name: a\n',
    ['f.yaml: ok, 0 services, 0 listeners'],
  ],
  [
    'services that nothing wakes, and none that a label or a hub may',
    `services:
  a: { command: [sleep, "9"] }
  b: { container: b, ignore_labels: true, cron_start: "" }
  c: { container: c }
  d: { container: d, ignore_labels: true, dependants: [e] }
  e: { command: [sleep, "9"] }
  f: { command: [sleep, "9"], cron_start: "@daily" }
  g: { command: [sleep, "9"], dependant_of_labels: true }
  h: { deployment: h }
`,
    [
      `f.yaml:2:17 warning service "a" has no port and no schedule, and no other service starts it, so nothing wakes it`,
      `f.yaml:3:19 warning service "b" has no port and no schedule, and no other service starts it, so nothing wakes it`,
      `f.yaml:5:19 warning service "d" has no port and no schedule, and no other service starts it, so nothing wakes it`,
      `f.yaml:9:20 warning service "h" has no port and no schedule, and no other service starts it, so nothing wakes it`,
      'f.yaml: ok, 8 services, 0 listeners',
    ],
  ],
  [
    'a service that nothing wakes where labels do not count',
    'docker: { labels: false }\nservices: { c: { container: c } }\n',
    [
      `f.yaml:2:29 warning service "c" has no port and no schedule, and no other service starts it, so nothing wakes it`,
      'f.yaml: ok, 1 service, 0 listeners',
    ],
  ],
  [
    'options that do nothing for a Deployment and for a container',
    'services:\n  a: { deployment: a, stop_timeout: 5s, ports: ["80:http"] }\n  b: { upstream: service, ports: ["81:81"] }\n',
    [
      'f.yaml:2:23 warning stop_timeout: has no effect on a Deployment; the terminationGracePeriodSeconds of its pods counts',
      'f.yaml:3:8 warning upstream: has no effect on a container; it is for Deployments and StatefulSets',
      'f.yaml: ok, 2 services, 2 listeners',
    ],
  ],
  [
    'an unknown dependant that looks mistyped, and none that may be a container without a service',
    'services: { a: { ports: ["80:80"], dependants: [worker, B] }, b: { ports: ["81:81"] } }\n',
    [
      'f.yaml:1:57 warning dependants[1]: "B" is no service of this file; a container of this name is meant; did you mean "b"?',
      'f.yaml: ok, 2 services, 2 listeners',
    ],
  ],
  [
    'an option without effect',
    'services: { a: { ports: ["80:80"], cwd: /srv } }\n',
    ['f.yaml:1:36 warning cwd: has no effect without command', 'f.yaml: ok, 1 service, 1 listener'],
  ],
  [
    'options without effect beside the others of the service, and none that defaults or labels make useful',
    `services:
  a: { ports: ["80:80"], http_healthcheck_status: 204, udp_flow_timeout: 9s, allow_data_loss: true }
  b: { udp_ports: ["53:53"], tcp_keepalive: 9s }
  c: { ports: ["81:80"], max_connections: 5, max_connections_per_address: 6 }
  d: { deployment: d, ports: ["82:80"], allow_data_loss: true }
  e: { http_healthcheck_status: 204, udp_flow_timeout: 9s, tcp_keepalive: 9s, max_connections_per_address: 6 }
  f: { ports: ["83:80"], max_connections: 5, max_connections_per_address: 5 }
  g: { ports: ["84:80"], http_healthcheck: "http://{{container}}/", http_healthcheck_status: 204 }
`,
    [
      'f.yaml:2:26 warning http_healthcheck_status: has no effect without http_healthcheck',
      'f.yaml:2:56 warning udp_flow_timeout: has no effect without udp_ports',
      'f.yaml:2:78 warning allow_data_loss: has no effect on a container; it is for StatefulSets',
      'f.yaml:3:30 warning tcp_keepalive: has no effect without ports, http_ports, hosts or tls_hosts',
      'f.yaml:4:46 warning max_connections_per_address: has no effect, because it is more than max_connections, which is 5',
      'f.yaml:5:41 warning allow_data_loss: has no effect on a Deployment; it is for StatefulSets',
      'f.yaml: ok, 7 services, 6 listeners',
    ],
  ],
  [
    'schedules that contradict, and ranges with an address inside',
    `services:
  a: { ports: ["80:80"], cron_start: "0 8 * * *", cron_stop: "0 8 * * *", idle_timeout: 5m }
  b: { udp_ports: ["53:53"], cron_start: "0 8 * * *", idle_timeout: 5m }
  c: { ports: ["81:80"], allow_list: [10.0.0.1/8, 10.0.0.0/8, 10.0.0.1/32, "fd00::1/64", "fd00:0::/64"] }
`,
    [
      "f.yaml:2:51 warning cron_stop: is the same as cron_start, so it can't be told what is meant then",
      'f.yaml:2:75 warning idle_timeout: has no effect beside cron_start or cron_stop: the schedule alone counts',
      'f.yaml:4:39 warning allow_list[0]: "10.0.0.1/8" means 10.0.0.0/8; write that, or "10.0.0.1" for the one address',
      'f.yaml:4:76 warning allow_list[3]: "fd00::1/64" means fd00::/64; write that, or "fd00::1" for the one address',
      'f.yaml: ok, 3 services, 3 listeners',
    ],
  ],
  [
    'traffic as use where there is no time without it',
    `services:
  a: { ports: ["80:80"], idle_when: no_traffic, idle_timeout: 0 }
  b: { ports: ["81:80"], idle_when: no_traffic, idle_timeout: 1s }
  c: { ports: ["82:80"], idle_when: no_connections, idle_timeout: 0 }
  d: { ports: ["83:80"], idle_when: no_traffic }
`,
    [
      'f.yaml:2:26 warning idle_when: no_traffic has no effect beside idle_timeout: 0, with which open connections keep the service awake; give a time without traffic',
      'f.yaml: ok, 4 services, 4 listeners',
    ],
  ],
  [
    'replicas of what has none',
    `services:
  a: { ports: ["80:80"], scale: 3 }
  b: { command: [sleep, "1"], ports: ["81:8081"], scale: 3 }
  c: { swarm_service: c, ports: ["82:80"], scale: 3 }
`,
    [
      'f.yaml:2:26 warning scale: has no effect on a container; it is for Swarm services, Deployments and StatefulSets',
      'f.yaml:3:51 warning scale: has no effect on a local process; it is for Swarm services, Deployments and StatefulSets',
      'f.yaml: ok, 3 services, 3 listeners',
    ],
  ],
  [
    'who starts and stops a service, in contradiction to its schedule',
    `services:
  a: { ports: ["80:80"], availability: schedule }
  b: { ports: ["81:80"], availability: manual, cron_start: "0 8 * * *", cron_stop: "0 9 * * *", idle_timeout: 5m }
  c: { ports: ["82:80"], availability: cron, cron_stop: "0 9 * * *" }
  d: { ports: ["83:80"], availability: ondemand }
  e: { udp_ports: ["83:80"], availability: manual, idle_timeout: 5m }
  f: { availability: schedule }
`,
    [
      'f.yaml:2:26 warning availability: is "schedule" without awake, cron_start or cron_stop, so neither clients nor a schedule start it; give one of them',
      'f.yaml:3:48 warning cron_start: has no effect beside availability: manual',
      'f.yaml:3:73 warning cron_stop: has no effect beside availability: manual',
      'f.yaml:3:97 warning idle_timeout: has no effect beside availability: manual',
      'f.yaml: ok, 6 services, 5 listeners',
    ],
  ],
  [
    'a range with an address inside among the defaults',
    'defaults: { block_list: [10.0.0.1/8] }\nservices: {}\n',
    [
      'f.yaml:1:26 warning defaults.block_list[0]: "10.0.0.1/8" means 10.0.0.0/8; write that, or "10.0.0.1" for the one address',
      'f.yaml: ok, 0 services, 0 listeners',
    ],
  ],
  [
    'a health check among the defaults',
    'defaults: { http_healthcheck: "http://{{container}}/" }\nservices: { a: { ports: ["80:80"], http_healthcheck_status: 204 } }\n',
    ['f.yaml: ok, 1 service, 1 listener'],
  ],
  [
    'settings of Docker for Kubernetes',
    'backend: kubernetes\ndocker: { socket: /run/d.sock, labels: true, label_urls: [hooks.lan] }\n',
    [
      'f.yaml:2:11 warning docker.socket: has no effect under backend: kubernetes, where no service is a container',
      'f.yaml:2:32 warning docker.labels: has no effect under backend: kubernetes',
      'f.yaml: ok, 0 services, 0 listeners',
    ],
  ],
  [
    'settings of Docker for Kubernetes and a container',
    'backend: kubernetes\ndocker: { socket: /run/d.sock, label_prefix: x }\nservices: { a: { container: a, ports: ["80:80"] } }\n',
    [
      'f.yaml:2:32 warning docker.label_prefix: has no effect under backend: kubernetes',
      'f.yaml: ok, 1 service, 1 listener',
    ],
  ],
];

const ALL_MISTAKES = [...MISTAKES, ...FIRST_STEPS];

/** The messages of `validate` for each text, without the lines that quote the file, which is called f.yaml. */
async function validateAll(texts: readonly string[]) {
  const names = texts.map((_, index) => `f${index}.yaml`);
  const folder = await createFolder(
    Object.fromEntries(names.map((name, index) => [name, texts[index] ?? ''])),
  );
  const { status, stdout, stderr } = await runProgram(['validate', ...names], { cwd: folder });
  const lines = names.map((name) => {
    const own = stdout.split('\n').filter((line) => line.startsWith(`${name}:`));
    return own.map((line) => line.replaceAll(name, 'f.yaml'));
  });
  return { status, stderr, lines };
}

describe('lazy-proxy validate', () => {
  // One run for all of them: each start of the program takes a third of a second.
  let found: readonly (readonly string[])[] = [];

  test('exits with 1 when there are mistakes', async () => {
    const { status, stderr, lines } = await validateAll(ALL_MISTAKES.map(([, text]) => text));
    expect({ status, stderr }).toEqual({ status: 1, stderr: '' });
    found = lines;
  });

  test.each(ALL_MISTAKES.map(([kind, , lines], index) => ({ kind, lines, index })))(
    'refuses $kind',
    (mistake) => {
      expect(found[mistake.index]).toEqual(mistake.lines);
    },
  );

  test('exits with 0 when there are warnings alone', async () => {
    const { status, stderr, lines } = await validateAll(WARNINGS.map(([, text]) => text));
    expect({ status, stderr, lines }).toEqual({
      status: 0,
      stderr: '',
      lines: WARNINGS.map(([, , lines]) => lines),
    });
  });
});
