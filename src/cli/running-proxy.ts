/**
 * A running proxy as commands see it. Input: what was typed, the environment and the file, as `run` reads them. Output: where its
 * status server is, and what its API answers. Guarantees: a refusal is an error with the proxy's own words.
 */
import { once } from 'node:events';
import { type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { parseEnvironment } from '../config/environment.ts';
import type { FileConfig } from '../config/file.ts';
import { readSettings } from '../config/read/read-settings.ts';
import { resolveSettings } from '../config/resolve-settings.ts';
import { TOKEN_VARIABLE } from '../config/settings.ts';
import { isMapping } from '../config/values/parsed.ts';
import { parseHttpUrl } from '../config/values/web/url.ts';
import { readYaml } from '../config/yaml/read-yaml.ts';
import type { Settings } from '../model/settings.ts';
import { showUrl } from '../model/text/show-url.ts';
import { configCandidates, describeConfigPath } from '../sources/config-candidates.ts';
import { readTokenFile } from '../system/token-file.ts';
import { describeReadError, readConfigFile } from '../sources/read-config-file.ts';
import type { Clock } from '../system/clock.ts';
import { EXIT_PROBLEMS, EXIT_UNUSABLE } from '../system/exit-codes.ts';
import { messageOf } from '../system/message-of.ts';
import { requestUrl } from '../system/net/http-client.ts';
import type { ProgramIo } from '../system/program-io.ts';

const NOBODY = 'no proxy answers at';
const TIMEOUT_MS = 10_000;
/** Who types waits no longer. */
const TYPING_TIMEOUT_MS = 1_000;
/** The configuration of 100,000 services has less. */
const MAX_ANSWER_BYTES = 512 * 1_024 * 1_024;
const MAX_REFUSAL_CHARACTERS = 65_536;
/** The stream of events has a sign of life every 15 s. */
const MAX_SILENCE_MS = 40_000;
const MAX_SHOWN_CHARACTERS = 100;

/** The flags of all commands that ask a running proxy. */
export interface ProxyFlags {
  /** Where its status server is; undefined = as `run` would have it. */
  readonly url?: string | undefined;
  readonly token?: string | undefined;
  readonly config?: string | undefined;
  readonly statusPort?: number | undefined;
}

export type CommandIo = ProgramIo & { readonly clock: Clock };

/** The proxy has answered, and says no. */
export class ProxyRefusal extends Error {
  readonly code = 'proxy-refusal';
  readonly status: number;
  /** Members of the answer beside the message. */
  readonly members: Readonly<Record<string, unknown>>;

  constructor(status: number, message: string, members: Readonly<Record<string, unknown>>) {
    super(message);
    this.status = status;
    this.members = members;
  }
}

/** What a command that asks a proxy is given. */
export interface CommandParts {
  readonly proxy: RunningProxy;
  readonly io: CommandIo;
}

/** Asks the API of a running proxy. */
export class RunningProxy {
  /** Where its status server is, without a slash at the end. */
  readonly url: string;
  /** They show who asks. */
  readonly #headers: Readonly<Record<string, string>>;
  /** Whether its token is one that was given by flag. */
  readonly wasTokenTyped: boolean;
  readonly #clock: Clock;
  readonly #timeoutMs: number;

  /** @param url may have a user and a password, for a reverse proxy in front; they are sent where there is no token. */
  constructor(
    url: string,
    options: {
      readonly token: string | undefined;
      /** Default: false. */
      readonly wasTokenTyped?: boolean;
      readonly clock: Clock;
      /** For an answer; default: 10 s. */
      readonly timeoutMs?: number;
    },
  ) {
    const { token } = options;
    const { origin, pathname, username, password } = new URL(url);
    this.url = `${origin}${pathname}`.replace(/\/+$/, '');
    const login = [username, password].map(decodeURIComponent).join(':');
    const basic = login === ':' ? undefined : `Basic ${Buffer.from(login).toString('base64')}`;
    const authorization = token === undefined ? basic : `Bearer ${token}`;
    this.#headers = authorization === undefined ? {} : { authorization };
    this.wasTokenTyped = options.wasTokenTyped ?? false;
    this.#clock = options.clock;
    this.#timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
  }

  /** All of one service. As `get`; in a path some reverse proxies decode a slash. */
  getService(name: string, query = ''): Promise<unknown> {
    return this.get(`/api/services?service=${encodeURIComponent(name)}${query}`);
  }

  /** @throws ProxyRefusal with the proxy's words; another error where no proxy answers. */
  get(path: string): Promise<unknown> {
    return this.#ask('GET', path);
  }

  /** Does something to a service; `query` begins with `&`. As `get`. */
  postService(name: string, action: string, query = ''): Promise<unknown> {
    // The name in the query counts. In the path, an empty one would make it another path.
    const inPath = name === '' || name.includes('/') ? '-' : encodeURIComponent(name);
    const path = `/api/services/${inPath}/${action}`;
    return this.#ask('POST', `${path}?service=${encodeURIComponent(name)}${query}`);
  }

  async #ask(method: 'GET' | 'POST', path: string): Promise<unknown> {
    const answer = await requestUrl(`${this.url}${path}`, {
      ...{ method, clock: this.#clock, deadlineMs: this.#timeoutMs, maxBodyBytes: MAX_ANSWER_BYTES },
      headers: this.#headers,
    }).catch((error: unknown) => {
      throw new Error(`${NOBODY} ${this.url}: ${messageOf(error)}`, { cause: error });
    });
    const text = answer.body.toString();
    const json = readJson(text);
    if (answer.status === 200 && json !== undefined) return json;
    throw this.#refuse(answer.status, text);
  }

  /**
   * Begins to read an answer that has no end; it is cut off where nothing comes for long.
   * @throws as `get`; the signal's reason when it aborts.
   */
  async open(
    path: string,
    { headers, signal }: { readonly headers: Readonly<Record<string, string>>; readonly signal: AbortSignal },
  ): Promise<IncomingMessage> {
    const url = new URL(`${this.url}${path}`);
    const send = url.protocol === 'https:' ? requestHttps : requestHttp;
    const all = { ...this.#headers, ...headers };
    const request = send(url, { headers: all, signal, agent: false, timeout: MAX_SILENCE_MS });
    request.on('timeout', () => request.destroy(new Error('it says nothing')));
    // Once the answer has begun, who reads it is told.
    request.on('error', () => {});
    request.end();
    const answered = once(request, 'response') as Promise<[IncomingMessage]>;
    const [response] = await answered.catch((error: unknown) => {
      signal.throwIfAborted();
      throw new Error(`${NOBODY} ${this.url}: ${messageOf(error)}`, { cause: error });
    });
    if (response.statusCode === 200) return response;
    let text = '';
    for await (const chunk of response.setEncoding('utf8'))
      if (text.length < MAX_REFUSAL_CHARACTERS) text += chunk;
    throw this.#refuse(response.statusCode ?? 0, text);
  }

  #refuse(status: number, text: string): Error {
    const json = readJson(text);
    if (isMapping(json) && typeof json['detail'] === 'string')
      return new ProxyRefusal(status, addAdvice(status, json['detail']), json);
    const shown = text.trim().slice(0, MAX_SHOWN_CHARACTERS);
    return new Error(`what answers at ${this.url} is no lazy-proxy with an API: it says ${status}: ${shown}`);
  }
}

function addAdvice(status: number, detail: string): string {
  // How the API wants to be shown it is nobody's business who types commands.
  const words = detail.replace(/: Authorization: Bearer \u2026/, '');
  return status === 401 ? `${words}; give it by --token or ${TOKEN_VARIABLE}` : detail;
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/**
 * Finds the proxy that the flags mean: at `--url`, or where `run` would put its status server. Then the token is the one that the
 * settings name, too: it goes to the server that they name. Undefined where the status server is off.
 * @throws where the URL is none.
 */
export async function findProxy(flags: ProxyFlags, io: CommandIo): Promise<RunningProxy | undefined> {
  const { clock, env } = io;
  const given = flags.token ?? (env[TOKEN_VARIABLE]?.trim() || undefined);
  if (given !== undefined && !/^[\x21-\x7e]+$/.test(given))
    throw new Error(
      `what ${flags.token === undefined ? TOKEN_VARIABLE : '--token'} gives is no token of letters, digits and signs, without spaces`,
    );
  const wasTokenTyped = flags.token !== undefined;
  if (flags.url !== undefined)
    return new RunningProxy(readUrl(flags.url), { token: given, wasTokenTyped, clock });
  const settings = await readOwnSettings(flags, io);
  const url = statusUrl(settings);
  if (url === undefined) return undefined;
  const token = given ?? (await readOwnToken(settings));
  return new RunningProxy(url, { token, wasTokenTyped, clock });
}

/**
 * The services of the proxy that the flags mean, each with its state, for who is typing a name: soon, or not at all. Whoever presses
 * Tab has not chosen the file of the folder where that is, so no token goes to a server that the file names, unless it is typed.
 * @throws where no proxy answers.
 */
export async function listServiceNames(
  flags: ProxyFlags,
  io: CommandIo,
): Promise<readonly { readonly value: string; readonly description: string }[]> {
  const { clock, env } = io;
  const own = flags.url === undefined ? undefined : env[TOKEN_VARIABLE]?.trim() || undefined;
  const statusPort = flags.statusPort === undefined ? {} : { statusPort: Number(flags.statusPort) };
  const url =
    flags.url === undefined
      ? statusUrl(await readOwnSettings({ ...flags, ...statusPort }, io))
      : readUrl(flags.url);
  if (url === undefined) return [];
  const proxy = new RunningProxy(url, { token: flags.token ?? own, clock, timeoutMs: TYPING_TIMEOUT_MS });
  const services = (await proxy.get('/api/services')) as readonly Readonly<Record<string, unknown>>[];
  return services.map(({ name, life = '' }) => ({ value: String(name), description: String(life) }));
}

/**
 * Runs what asks a proxy. Exit status: what it returns; 1 where the proxy refuses; 2 where none answers.
 * @param options.refused in place of 1.
 */
export async function withProxy(
  flags: ProxyFlags,
  io: CommandIo,
  options: { readonly run: (proxy: RunningProxy) => Promise<number>; readonly refused?: number },
): Promise<number> {
  try {
    const proxy = await findProxy(flags, io);
    if (proxy !== undefined)
      return await options.run(proxy).catch((error: unknown) => {
        throw explainUnfit(error, proxy);
      });
    io.stderr('lazy-proxy: the status server is off, so no proxy can be asked; --url names another one');
    return EXIT_UNUSABLE;
  } catch (error) {
    const message = messageOf(error);
    const isSought = flags.url === undefined && flags.config === undefined && message.startsWith(NOBODY);
    io.stderr(`lazy-proxy: ${message}${isSought ? '; --url says where one is, or -c names its file' : ''}`);
    return error instanceof ProxyRefusal ? (options.refused ?? EXIT_PROBLEMS) : EXIT_UNUSABLE;
  }
}

/**
 * An error in the words of who asks a proxy: what another program answers, or a proxy of another version, may be JSON without what a
 * command reads of it.
 */
export function explainUnfit(error: unknown, { url }: RunningProxy): unknown {
  // Those of Node's own functions have a code.
  if (!(error instanceof TypeError) || 'code' in error) return error;
  const message = `what ${url} answers is not what a lazy-proxy of this version does: ${error.message}`;
  return new Error(message, { cause: error });
}

/** The settings that `run` would have, as far as file, environment and flags tell. */
export async function readOwnSettings(
  flags: Pick<ProxyFlags, 'config' | 'statusPort'>,
  { env, cwd, stderr, clock }: CommandIo,
): Promise<Settings> {
  const { environment } = parseEnvironment(env);
  const candidates = configCandidates({ flag: flags.config, env, cwd });
  const file = await readFileSettings(candidates, { clock, cwd, stderr });
  return resolveSettings({ file, environment, flags: { statusPort: flags.statusPort } }).settings;
}

/** Who may not read the file has no token, and the proxy will say what it needs one for. */
async function readOwnToken({ access: { token, tokenFile } }: Settings): Promise<string | undefined> {
  if (token !== undefined || tokenFile === undefined) return token;
  const read = await readTokenFile(tokenFile);
  return 'token' in read ? read.token : undefined;
}

/** Undefined where the status server is off. */
export function statusUrl({ status }: Settings): string | undefined {
  return status === 'off' ? undefined : `http://${reachableHost(status.address)}:${status.port}`;
}

/**
 * What the file says about settings, and no more: a check every few seconds must not cost a whole validation. A file
 * that can't be read says nothing, and the check goes on: the proxy itself may still run on what it said before.
 */
async function readFileSettings(
  { named, candidates }: ReturnType<typeof configCandidates>,
  { clock, cwd, stderr }: { readonly clock: Clock } & Pick<ProgramIo, 'cwd' | 'stderr'>,
): Promise<FileConfig | undefined> {
  for (const path of named === undefined ? candidates : [named.path]) {
    const options = { named: named !== undefined, clock };
    const text = await readConfigFile(path, options).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT')
        stderr(`lazy-proxy: ${describeConfigPath(path, cwd)} ${describeReadError(error)}`);
      return undefined;
    });
    if (text === undefined) continue;
    const { root, locate } = readYaml({ text, file: path });
    if (!isMapping(root)) return undefined;
    return { file: path, services: [], defaults: {}, settings: readSettings(root, locate).settings };
  }
  return undefined;
}

/** The address to connect to: a server that listens on any address is asked on the loopback, since not every system connects to "any". */
function reachableHost(address: Exclude<Settings['status'], 'off'>['address']): string {
  if (address === '' || address === '0.0.0.0') return '127.0.0.1';
  if (address === '::') return '[::1]';
  return address.includes(':') ? `[${address}]` : address;
}

/** @throws where it is no address of a web server. */
function readUrl(text: string): string {
  if (text !== '' && parseHttpUrl(text).ok) return text;
  // What has a user may have a password.
  const shown = JSON.stringify(text.includes('@') ? showUrl(text) : text);
  const remedy = /^[^/@]+:\d+$/.test(text) ? `; write http://${text}` : '';
  throw new Error(`--url ${shown} is no URL such as http://localhost:8080${remedy}`);
}
