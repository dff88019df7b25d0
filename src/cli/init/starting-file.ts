/**
 * A file to begin with. Input: the containers that an engine has, if one answers. Output: the text of a configuration file with
 * comments, and what it says of whom. Guarantees: pure, and the text has no mistake: what would be one is written as a comment.
 */
import { hideSecrets } from '../../config/secrets.ts';
import type { ContainerSurvey, SurveyedContainer } from '../../backends/docker/survey-containers.ts';
import { parseBindAddress } from '../../config/values/address.ts';
import { formatDuration } from '../../config/values/duration.ts';
import { formatPorts } from '../../config/values/ports.ts';
import { escapeText } from '../../model/text/escape-text.ts';
import { hasErrors, type Problem } from '../../model/problem.ts';
import type { Dependency, ListenerSpec, Protocol } from '../../model/service.ts';
import type { Settings } from '../../model/settings.ts';
import {
  chooseServices,
  COMPOSE,
  compareListeners,
  distinct,
  type Entry,
  type StartingServices,
  STATUS_PORT,
} from './starting-services.ts';

export interface StartingFileOptions {
  /** Undefined = no engine has answered. */
  readonly survey: ContainerSurvey | undefined;
  /** As flags and environment have them. */
  readonly settings: Settings;
  /** Of the environment, or the built-in one. */
  readonly idleTimeoutMs: number;
  /** All problems of a text as a configuration file, by position. */
  readonly findProblems: (text: string) => readonly Problem[];
}

export interface StartingFile {
  /** Ends in a line feed. */
  readonly text: string;
  /** Names of the services in it. */
  readonly served: readonly string[];
  readonly listeners: number;
  /** Names of containers that are served by their labels already. */
  readonly labelled: readonly string[];
  /** Names of those in it as a comment alone. */
  readonly proposed: readonly string[];
  readonly statusPort: number;
}

const MAX_SHOWN = 200;
const MAX_LINE = 110;
const DEFAULT_SOCKET = '/var/run/docker.sock';

/** Writes the file. */
export function writeStartingFile(options: StartingFileOptions): StartingFile {
  // What a check finds wrong becomes a comment; then others may have that port, so all of it is made anew.
  const refused = new Map<string, string>();
  for (;;) {
    const content = chooseServices(options.survey, { settings: options.settings, refused });
    const { text, nameAt } = renderFile(content, options);
    const errors = options.findProblems(text).filter(({ severity }) => severity === 'error');
    const before = refused.size;
    for (const { origin, message } of errors) {
      const name = origin.kind === 'file' ? nameAt(origin.line) : undefined;
      if (name !== undefined && !refused.has(name)) refused.set(name, message);
    }
    if (!hasErrors(errors)) return { text, ...summarize(content) };
    if (refused.size === before)
      throw new Error(`the file would have mistakes: ${errors.map(({ message }) => message).join('; ')}`);
  }
}

function summarize({ entries, labelled, statusPort }: StartingServices): Omit<StartingFile, 'text'> {
  const served = entries.filter(({ isServed }) => isServed);
  return {
    served: served.map(({ container }) => container.name),
    listeners: served.reduce((sum, { listeners }) => sum + listeners.length, 0),
    labelled,
    proposed: entries.filter(({ isServed }) => !isServed).map(({ container }) => container.name),
    statusPort,
  };
}

interface RenderedFile {
  readonly text: string;
  /** The service to which a line of the text belongs, counted from 1. */
  readonly nameAt: (line: number) => string | undefined;
}

function renderFile(content: StartingServices, options: StartingFileOptions): RenderedFile {
  const lines = [...renderHead(content, options)];
  const owners = new Map<number, string>();
  const served = content.entries.filter(({ isServed }) => isServed);
  const proposed = content.entries.filter(({ isServed }) => !isServed);
  lines.push(
    served.length > 0 ? 'services:' : 'services: {} # take the {} out when you write the first one below',
  );
  const isBackendDocker = options.settings.backend === 'docker';
  for (const entry of served) {
    for (const line of renderEntry(entry, { isBackendDocker })) {
      lines.push(line);
      owners.set(lines.length, entry.container.name);
    }
    lines.push('');
  }
  if (proposed.length > 0) {
    lines.push(...comment(['Not served yet: take out the # of what the proxy is to wake.', ''], 2));
    for (const entry of proposed) {
      const text = renderEntry(entry, { isBackendDocker }).map((line) => line.slice(2));
      lines.push(...text.map((line) => (line.startsWith('#') ? `  ${line}` : `  # ${line}`)), '');
    }
  }
  lines.push(...(served.length === 0 && proposed.length === 0 ? EXAMPLES : MORE));
  if (content.leftOut.length > 0) {
    lines.push('', '# Left out:');
    for (const { name, reason } of content.leftOut) lines.push(`# - ${show(name)}: ${show(reason)}`);
  }
  const left = options.survey?.left ?? 0;
  if (left > 0) lines.push(`# ${left} more containers are not looked at.`);
  return { text: `${lines.join('\n')}\n`, nameAt: (line) => owners.get(line) };
}

function renderHead(content: StartingServices, options: StartingFileOptions): readonly string[] {
  const { survey, settings, idleTimeoutMs } = options;
  // The file is shown to others, and kept with them; what starts the proxy has the password already.
  const socket = String(hideSecrets(settings.docker.socket, 'user'));
  const place = content.statusPort === STATUS_PORT ? '' : `; ${STATUS_PORT} is taken`;
  return [
    '# yaml-language-server: $schema=./lazy-proxy.schema.json',
    '# An editor checks this file as you type when you have written that one: lazy-proxy schema > lazy-proxy.schema.json',
    '#',
    ...comment([
      survey === undefined
        ? 'What lazy-proxy serves. Written by lazy-proxy init, without an engine: it has no service yet.'
        : `What lazy-proxy serves. Written by lazy-proxy init, of the containers of the engine at ${show(socket)}.`,
      'lazy-proxy validate checks it. While the proxy runs, it reads the file again after each change.',
    ]),
    ...comment(survey === undefined ? [] : ['', ...renderAdvice(content, survey)]),
    '',
    `# Where you see and steer it: the page http://localhost:${content.statusPort}/, and the commands.`,
    'status:',
    `  listen: "0.0.0.0:${content.statusPort}" # "127.0.0.1:${content.statusPort}": for this machine alone${place}`,
    '  # token: "a long random text" # who shows it may wake, hold and put to sleep; without one nobody may',
    '',
    ...(socket === DEFAULT_SOCKET
      ? []
      : [
          '# The engine; DOCKER_SOCK or DOCKER_HOST says it, too.',
          `# docker: { socket: ${quote(show(socket))} }`,
          '',
        ]),
    '# For services that say nothing else.',
    'defaults:',
    `  idle_timeout: ${formatDuration(idleTimeoutMs)} # a service that has had no client for so long is put to sleep`,
    '  start_timeout: 30s # a client waits at most so long for a service that wakes',
    '',
  ];
}

function renderAdvice({ entries }: StartingServices, { isInContainer }: ContainerSurvey): readonly string[] {
  const served = entries.filter(({ isServed }) => isServed);
  if (served.length === 0) return ['No container publishes a port: nothing is served yet.'];
  const files = new Set(served.map(({ container }) => container.labels[`${COMPOSE}project.config_files`]));
  const known = [...files].filter((file) => file !== undefined);
  return [
    'Before you start the proxy:',
    '1. Take out of this file what must never sleep. Who reaches a container by its name on a network of the engine goes',
    '   past the proxy: that neither wakes the container nor keeps it awake.',
    '2. A port of the machine can belong to one alone. The containers below publish theirs themselves: take `ports:` out',
    `   of the Compose file${known.length === 0 ? '' : ' (named below)'}, or -p out of docker run, and make them anew: docker compose up --no-start.`,
    ...(isInContainer
      ? [
          "3. The proxy's own container publishes them in their place. In the Compose file:",
          '     ports:',
          ...served.flatMap(({ container }) =>
            listOwnPorts(container).map((port) => `       - ${quote(port)}`),
          ),
        ]
      : [
          '3. Where the proxy runs in a container, that one publishes them, and an address such as 127.0.0.1 stands there',
          '   and not here.',
        ]),
  ];
}

/** What the proxy's container publishes in place of another one; the listeners in the file are the targets. */
function listOwnPorts({ published }: SurveyedContainer): readonly string[] {
  const suffixes: Readonly<Record<Protocol, string>> = { tcp: '', udp: '/udp' };
  return (['tcp', 'udp'] as const).flatMap((protocol) => {
    const own = published.filter((port) => port.protocol === protocol);
    const listeners = own.map(({ address, port, targetPort }): ListenerSpec => {
      const listen = port ?? targetPort;
      return { protocol, address: parseBindAddress(address) ?? '', port: listen, targetPort: listen };
    });
    const sorted = distinct(listeners).toSorted(compareListeners);
    return formatPorts(sorted).map((port) => `${port}${suffixes[protocol]}`);
  });
}

/** The lines of a service, as YAML below `services:`; comments begin with `  #`. */
function renderEntry(
  { container, notes, listeners, dependsOn, otherNeeds }: Entry,
  { isBackendDocker }: { readonly isBackendDocker: boolean },
): readonly string[] {
  const { name } = container;
  return [
    ...comment([describeContainer(container), ...notes].map(show), 2),
    `  ${key(name)}:`,
    ...(isBackendDocker ? [] : [`    container: ${quote(name)}`]),
    ...renderPorts('ports', 'tcp', listeners),
    ...renderPorts('udp_ports', 'udp', listeners),
    ...(dependsOn.length === 0
      ? []
      : [
          `    depends_on: ${quoteNeeds(dependsOn)} # woken first, and asleep after it: as in the Compose file`,
        ]),
    ...(otherNeeds.length === 0
      ? []
      : [
          ...comment(
            [show(`What it needs beside that, and this file doesn't serve: ${otherNeeds.join(', ')}.`)],
            4,
          ),
          ...comment(['depends_on: compose # all of it would be woken first, and sleep after it'], 4),
        ]),
  ];
}

/** `["db"]`, or `{"db": healthy}`. */
function quoteNeeds(needs: readonly Dependency[]): string {
  const isPlain = needs.every(({ condition }) => condition === 'started');
  if (isPlain) return `[${needs.map(({ name }) => quote(name)).join(', ')}]`;
  return `{ ${needs.map(({ name, condition }) => `${quote(name)}: ${condition}`).join(', ')} }`;
}

function renderPorts(
  field: 'ports' | 'udp_ports',
  protocol: Protocol,
  listeners: readonly ListenerSpec[],
): readonly string[] {
  const own = listeners.filter((listener) => listener.protocol === protocol);
  const items = formatPorts(own.toSorted(compareListeners)).map(quote);
  if (items.length === 0) return [];
  const line = `    ${field}: [${items.join(', ')}]`;
  return line.length <= MAX_LINE ? [line] : [`    ${field}:`, ...items.map((item) => `      - ${item}`)];
}

function describeContainer({ labels, isRunning, published }: SurveyedContainer): string {
  const project = labels[`${COMPOSE}project`];
  const service = labels[`${COMPOSE}service`];
  const file = labels[`${COMPOSE}project.config_files`];
  const from =
    project === undefined || service === undefined
      ? ''
      : `, service ${service} of the Compose project ${project}${file === undefined ? '' : ` in ${file}`}`;
  const reach = published.length === 0 ? '; only other containers reach it' : '';
  return `${isRunning ? 'Runs now' : 'Does not run now'}${from}${reach}.`;
}

/** Text of others on one line, and not too much of it. */
function show(text: string): string {
  const whole = escapeText(text);
  return whole.length > MAX_SHOWN ? `${whole.slice(0, MAX_SHOWN)}…` : whole;
}

function comment(lines: readonly string[], indent = 0): readonly string[] {
  return lines.map((line) => `${' '.repeat(indent)}# ${line}`.trimEnd());
}

/** JSON's texts are YAML's, too. */
function quote(text: string): string {
  return JSON.stringify(text);
}

/** Words that YAML, or what reads it elsewhere, takes for something else. */
const RESERVED = /^(?:true|false|null|yes|no|on|off|y|n)$/i;

function key(name: string): string {
  return /^[A-Za-z]/.test(name) && !RESERVED.test(name) ? name : quote(name);
}

const MORE = comment(
  [
    'What else a service may say:',
    '  idle_timeout: 10m',
    '  http_healthcheck: "http://{{container}}:8080/health" # ready when this answers; else when the port does',
    '  allow_list: [192.168.0.0/16, "::1"] # nobody else may connect',
    '  awake: ["08:30-17:30 Mon-Fri"] # kept awake then, in `timezone`; outside, idle_timeout applies',
    '  idle_when: no_traffic # open connections that carry nothing, such as those of a pool, let it sleep',
  ],
  2,
);

const EXAMPLES = comment(
  [
    'A container. Its name is the key, unless `container` says it.',
    'web:',
    '  ports: ["8000:80"] # listen:target; "127.0.0.1:8000:80" is for this machine alone',
    '  idle_timeout: 10m',
    '',
    'A database of a Compose project, for one network.',
    'db:',
    '  container: shop-db-1',
    '  ports: ["5432:5432"]',
    '  allow_list: [192.168.0.0/16, "::1"]',
    '',
    'UDP ports, and a schedule: awake on working days.',
    'syslog:',
    '  udp_ports: ["5140:514"]',
    '  cron_start: "30 8 * * 1-5"',
    '  cron_stop: "30 17 * * 1-5"',
    '',
    'A program on this machine in place of a container.',
    'hello:',
    '  command: [node, server.js]',
    '  ports: ["9000:3000"]',
    '  http_healthcheck: "http://127.0.0.1:3000/health" # ready when this answers; else when the port does',
  ],
  2,
);
