/** Which part of `src/` may import what: the arrows of the architecture, as a table. */
import path from 'node:path';
import ts from 'typescript';
import { type ImportOf, lineAt, listImports, type SourceFile, visitNames } from './source-files.ts';

interface Layer {
  /** Folders and files of ours, seen from `src/`. Its own folder is always allowed. */
  readonly imports: readonly string[];
  /** Of these, types alone: nothing is loaded, no instance is made. */
  readonly types?: readonly string[];
  readonly packages?: readonly string[];
}

const BACKEND: Layer = {
  imports: [
    ...['backend', 'label-feed', 'output-lines'].map((file) => `backends/${file}.ts`),
    'model',
    'system',
  ],
};

/** By folder or file; the longest match counts. */
const LAYERS: Readonly<Record<string, Layer>> = {
  model: { imports: [] },
  system: { imports: ['model'], packages: ['pino'] },
  config: {
    imports: ['model'],
    packages: ['yaml', 'ajv', 'cron-parser', 'ipaddr.js', 'fastest-levenshtein'],
  },
  table: { imports: ['model', 'config'] },
  plan: { imports: ['model', 'config', 'table'] },
  sources: { imports: ['model', 'system', 'config', 'backends/backend.ts'], packages: ['chokidar'] },
  lifecycle: { imports: ['model', 'system', 'backends/backend.ts'] },
  relay: { imports: ['model', 'system'], packages: ['ipaddr.js', 'koffi', 'bcryptjs'] },
  'relay/tls/authority': {
    imports: ['model', 'system', 'relay/tls'],
    packages: ['@peculiar/asn1-schema', '@peculiar/asn1-x509'],
  },
  apply: {
    imports: ['model', 'system', 'table', 'plan', 'relay'],
    types: ['lifecycle', 'backends/backend.ts'],
    packages: ['cron-parser'],
  },
  status: {
    imports: ['model', 'system'],
    types: ['table', 'plan', 'lifecycle', 'relay', 'apply', 'sources', 'backends/backend.ts'],
  },
  dashboard: { imports: ['model'], types: ['status/api/answers.ts'], packages: ['preact'] },
  'status/metrics': { imports: ['model', 'system', 'status'], types: ['relay'], packages: ['prom-client'] },
  'backends/backend.ts': { imports: ['model'] },
  'backends/label-feed.ts': { imports: ['backends/backend.ts', 'model', 'system'] },
  'backends/output-lines.ts': { imports: [] },
  'backends/engine': { ...BACKEND, packages: ['dockerode', 'ipaddr.js'] },
  'backends/docker': { imports: [...BACKEND.imports, 'backends/engine'] },
  'backends/swarm': { imports: [...BACKEND.imports, 'backends/engine'] },
  'backends/process': BACKEND,
  'backends/kubernetes': { ...BACKEND, packages: ['@kubernetes/client-node'] },
  proxy: {
    imports: [
      ...['model', 'system', 'config', 'table', 'plan', 'sources', 'lifecycle', 'relay', 'apply', 'status'],
      'backends',
    ],
  },
  cli: {
    imports: [
      ...['model', 'system', 'config', 'table', 'plan', 'sources', 'proxy', 'backends'],
      'apply/describe-plan.ts',
    ],
    types: ['status/api/answers.ts'],
    packages: ['commander', 'yaml'],
  },
  'main.ts': { imports: ['cli', 'model', 'system'], packages: ['commander'] },
};

/** No I/O, no clock, no timers, no logging, no process: the same input gives the same output. */
const PURE = [
  'model',
  'config',
  'table',
  'plan',
  'lifecycle/workload/machine.ts',
  'relay/access/access-list.ts',
  'relay/access/proxy-protocol.ts',
  'relay/http/message',
  'relay/http/upstream/answer-parser.ts',
  'relay/tls/client-hello.ts',
  'relay/http/waiting/waiting-page.ts',
  'status/api/providers',
];
const ALSO_PURE = ['proxy/keeping/kept-file.ts', 'relay/udp/flow-table.ts', 'system/waiting/backoff.ts'];
/** `node:` modules without input or output. */
const PURE_MODULES = new Set(['node:path', 'node:url', 'node:util']);
const IMPURE_NAMES = new Set(['process', 'console', 'fetch', 'performance']);

/** The only files that may know what time it is: for the program, and for its page in a browser. */
const CLOCK = 'system/clock.ts';
const CLOCKS: ReadonlySet<string> = new Set([CLOCK, 'dashboard/clock.ts']);
const TIME_NAMES = new Set(['Date', 'setTimeout', 'setInterval', 'setImmediate']);
const TIME_MODULES = new Set(['node:timers', 'node:timers/promises', 'timers', 'timers/promises']);

/** Who may read the clock on the wall, which jumps when it is set, and why; whatever lasts is measured by the other one. */
const WALL_CLOCK: ReadonlyMap<string, string> = new Map([
  ['status/api/api.ts', 'the API shows the last day'],
  ['status/api/event-stream.ts', 'an event has a timestamp'],
  ['apply/manual-holds.ts', 'the API shows when a hold ends'],
  ['proxy/keeping/keeping.ts', 'what is kept is kept with its time'],
  ['apply/schedule-set.ts', 'cron means the clock on the wall'],
  ['backends/engine/engine-connection.ts', 'the engine is told since when it is to repeat its events'],
  ['backends/kubernetes/sharing/replica-record.ts', 'a Lease holds a timestamp'],
  ['backends/kubernetes/sharing/sleeper-lease.ts', 'a Lease holds a timestamp'],
  ['relay/tls/certificate-store.ts', 'a certificate is good until a time on the wall'],
  ['relay/tls/authority/made-certificates.ts', 'a certificate is good until a time on the wall'],
  ['cli/validate.ts', 'a certificate is good until a time on the wall'],
  ['cli/events.ts', 'events --past tells of the last day'],
  ['cli/status.ts', 'commands show how long ago a timestamp was'],
  ['proxy/lazy-proxy.ts', 'the status shows how long ago a timestamp was'],
  ['proxy/webhook-events.ts', 'an event has a timestamp'],
  ['lifecycle/workload/use/lease-book.ts', 'the status shows when a service was last active'],
  ['lifecycle/workload/record/state-history.ts', 'the API shows when a workload came into its state'],
  ['lifecycle/workload/record/account.ts', 'the API shows when a workload will sleep'],
  ['lifecycle/workload/workload-controller.ts', 'the API shows when a workload was last used'],
  ['relay/tcp/tcp-listener.ts', 'the API shows since when a client is there'],
  ['relay/http/exchange.ts', 'the API shows since when a client is there'],
  ['relay/udp/udp-listener.ts', 'the API shows since when a client is there'],
  ['lifecycle/workload/record/wake-record.ts', 'the status shows when the last wake was'],
  ['relay/splice/thread/route-table.ts', 'the status shows when a service was last active'],
]);

/** Where alone a socket is reset. */
const RESET = 'relay/tcp/reset-socket.ts';

/** File and name that are let through, and why. */
const EXCEPTIONS: ReadonlyMap<string, string> = new Map([
  ['config/values/schedule.ts Date', 'a fixed date keeps the check of an expression independent of the time'],
  ['config/checks/schema-validator.ts node:module', 'the schema is loaded as a part of the program, once'],
]);

/** From here on a file is worth a look: does it have two reasons to change? Length alone breaks no rule. */
const LONG_FILE_LINES = 300;

/** Every broken rule of a file, as `src/<file>:<line> <what>`. */
export function findViolations(file: SourceFile): string[] {
  const found = [...checkImports(file), ...checkNames(file), ...checkShape(file)];
  return found.map(({ line, what }) => `src/${file.path}:${line} ${what}`);
}

/** What to tell of a file that is long, which is a reason to look and no fault; undefined for all others. */
export function describeLength(file: SourceFile): string | undefined {
  const lines = file.text.trimEnd().split('\n').length;
  return lines > LONG_FILE_LINES ? `src/${file.path} has ${lines} lines` : undefined;
}

interface Violation {
  readonly line: number;
  readonly what: string;
}

function checkImports(file: SourceFile): Violation[] {
  const layerPath = Object.keys(LAYERS)
    .filter((key) => isWithin(file.path, key))
    .sort((a, b) => b.length - a.length)[0];
  const layer = layerPath === undefined ? undefined : LAYERS[layerPath];
  if (layerPath === undefined || layer === undefined) {
    return [{ line: 1, what: 'lies in no folder of the table in test/support/layer-rules.ts' }];
  }
  return listImports(file).flatMap((imported) => {
    const why = refuseImport(file, { imported, layer, layerPath });
    return why === undefined ? [] : [{ line: imported.line, what: `imports ${imported.specifier}: ${why}` }];
  });
}

function refuseImport(
  file: SourceFile,
  {
    imported,
    layer,
    layerPath,
  }: { readonly imported: ImportOf; readonly layer: Layer; readonly layerPath: string },
): string | undefined {
  const { specifier, typeOnly } = imported;
  if (specifier.startsWith('.')) {
    const target = path.posix.join(path.posix.dirname(file.path), specifier);
    if ([layerPath, ...layer.imports].some((key) => isWithin(target, key))) return undefined;
    if (!layer.types?.some((key) => isWithin(target, key))) return `${layerPath} must not know it`;
    return typeOnly ? undefined : `${layerPath} may import its types only`;
  }
  if (TIME_MODULES.has(specifier) && file.path !== CLOCK) return `only ${CLOCK} touches timers`;
  if (specifier.startsWith('node:')) {
    const harmless = PURE_MODULES.has(specifier) || EXCEPTIONS.has(`${file.path} ${specifier}`);
    const allowed = typeOnly || harmless || !isPure(file.path);
    return allowed ? undefined : 'this file is pure';
  }
  return layer.packages?.includes(packageOf(specifier))
    ? undefined
    : `${layerPath} must not use this package`;
}

function checkNames(file: SourceFile): Violation[] {
  const found: Violation[] = [];
  const pure = isPure(file.path);
  visitWallClocks(file.tree, (read) => {
    if (WALL_CLOCK.has(file.path)) return;
    const line = lineAt(file.tree, read.getStart());
    found.push({ line, what: 'reads the clock on the wall: durations and deadlines are monotonic' });
  });
  visitResets(file.tree, (call) => {
    if (file.path === RESET) return;
    const line = lineAt(file.tree, call.getStart());
    found.push({ line, what: `calls resetAndDestroy, which may leave the socket open: use ${RESET}` });
  });
  visitNames(file.tree, (name) => {
    if (EXCEPTIONS.has(`${file.path} ${name.text}`)) return;
    const line = lineAt(file.tree, name.getStart());
    if (pure && IMPURE_NAMES.has(name.text))
      found.push({ line, what: `uses ${name.text}: this file is pure` });
    if (!CLOCKS.has(file.path) && (TIME_NAMES.has(name.text) || isTimeoutSignal(name))) {
      found.push({ line, what: `uses ${name.text}: only ${CLOCK} touches time` });
    }
  });
  return found;
}

/** `clock.nowMs`, `this.#clock.nowMs`, `options.clock.nowMs`, called or passed on. */
function visitWallClocks(tree: ts.SourceFile, visit: (read: ts.Node) => void): void {
  const walk = (node: ts.Node): void => {
    const isRead =
      ts.isPropertyAccessExpression(node) &&
      node.name.text === 'nowMs' &&
      /clock$/i.test(node.expression.getText(tree));
    if (isRead) visit(node);
    ts.forEachChild(node, walk);
  };
  walk(tree);
}

/** `socket.resetAndDestroy()`, also where it is only passed on. */
function visitResets(tree: ts.SourceFile, visit: (use: ts.Node) => void): void {
  const walk = (node: ts.Node): void => {
    if (ts.isPropertyAccessExpression(node) && node.name.text === 'resetAndDestroy') visit(node);
    ts.forEachChild(node, walk);
  };
  walk(tree);
}

/** `AbortSignal.timeout` is a timer, too. */
function isTimeoutSignal(name: ts.Identifier): boolean {
  const { parent } = name;
  return (
    name.text === 'AbortSignal' && ts.isPropertyAccessExpression(parent) && parent.name.text === 'timeout'
  );
}

function checkShape(file: SourceFile): Violation[] {
  const found: Violation[] = [];
  if (path.posix.basename(file.path) === 'index.ts') found.push({ line: 1, what: 'is a barrel' });
  for (const statement of file.tree.statements) {
    const line = lineAt(file.tree, statement.getStart());
    if (isDefaultExport(statement)) found.push({ line, what: 'has a default export' });
  }
  return found;
}

function isDefaultExport(statement: ts.Statement): boolean {
  if (ts.isExportAssignment(statement)) return true;
  const modifiers = ts.canHaveModifiers(statement) ? ts.getModifiers(statement) : undefined;
  return modifiers?.some(({ kind }) => kind === ts.SyntaxKind.DefaultKeyword) ?? false;
}

function isPure(file: string): boolean {
  return [...PURE, ...ALSO_PURE].some((key) => isWithin(file, key));
}

function isWithin(file: string, key: string): boolean {
  return file === key || file.startsWith(`${key}/`);
}

/** `ajv/dist/2020.js` → `ajv`, `@scope/name/x` → `@scope/name`. */
function packageOf(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}
