/** What requests to the scripted API server get instead of what they should. */
import type { ServerResponse } from 'node:http';
import type { KubeQuestion } from './scripted-kube-answers.ts';
import { ScriptedRefusal } from './scripted-kube-objects.ts';
import { KUBE_RESOURCES } from './scripted-kube-paths.ts';

/** A request whose answer is in somebody's hands. */
interface Pending {
  readonly line: string;
  readonly response: ServerResponse;
  /** Answers as if nothing were amiss. */
  readonly answer: () => void;
}

interface Script {
  readonly pattern: RegExp;
  readonly act: (pending: Pending) => void;
  /** How many requests it still applies to. */
  left: number;
}

const USER = 'system:serviceaccount:lazy-proxy:lazy-proxy';

/**
 * Each method takes a pattern for `METHOD /path?query` (decoded), applies to the next `times` requests that match (all,
 * where it isn't given), and returns a function that takes it back. The first script that matches counts.
 */
export class ScriptedScripts {
  readonly #scripts = new Set<Script>();
  readonly #rights = new Set<string>();
  readonly #arrivals = new Set<() => void>();

  /** Requests get no answer until the returned function is called. */
  hang(pattern: RegExp, times?: number): () => void {
    const held: (() => void)[] = [];
    const remove = this.#script({ pattern, times, act: ({ answer }) => held.push(answer) });
    return () => {
      remove();
      for (const answer of held) answer();
    };
  }

  /** Requests are refused. */
  refuse(
    pattern: RegExp,
    answer: {
      readonly status: number;
      readonly message: string;
      readonly reason?: string;
      readonly times?: number;
      /** Of the header: seconds or a date. */
      readonly retryAfter?: string;
    },
  ): () => void {
    const { status, message, reason = '', times } = answer;
    const body = { kind: 'Status', apiVersion: 'v1', status: 'Failure', message, reason, code: status };
    const headers = answer.retryAfter === undefined ? {} : { 'retry-after': answer.retryAfter };
    return this.answerWith(pattern, { status, body: JSON.stringify(body), times, headers });
  }

  /** Requests get this body, whatever it is. */
  answerWith(
    pattern: RegExp,
    answer: {
      readonly status: number;
      readonly body: string;
      readonly times?: number | undefined;
      readonly headers?: Readonly<Record<string, string>>;
    },
  ): () => void {
    const act = ({ response }: Pending) => {
      response.writeHead(answer.status, { 'content-type': 'application/json', ...answer.headers });
      response.end(answer.body);
    };
    return this.#script({ pattern, times: answer.times, act });
  }

  /** The next request that matches is answered by hand. */
  takeOver(pattern: RegExp): Promise<ServerResponse> {
    return new Promise((resolve) => {
      this.#script({ pattern, times: 1, act: ({ response }) => resolve(response) });
    });
  }

  /** Requests get half an answer, and the connection breaks. */
  breakOff(pattern: RegExp, times?: number): () => void {
    const act = ({ response }: Pending) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': 1000 });
      response.write('{"metadata":', () => response.destroy());
    };
    return this.#script({ pattern, times, act });
  }

  /** The connection breaks without an answer. */
  drop(pattern: RegExp, times?: number): () => void {
    return this.#script({ pattern, times, act: ({ response }) => response.destroy() });
  }

  /** The connection breaks when all was done that the request asks for: nobody can know that it was. */
  loseAnswer(pattern: RegExp, times?: number): () => void {
    const act = ({ response, answer }: Pending) => {
      response.end = () => response.destroy();
      answer();
    };
    return this.#script({ pattern, times, act });
  }

  /** Something happens just before the next request that matches is answered, say somebody else's change. */
  before(pattern: RegExp, happen: () => void): () => void {
    const act = ({ answer }: Pending) => {
      happen();
      answer();
    };
    return this.#script({ pattern, times: 1, act });
  }

  /**
   * The caller lacks a right, as RBAC would have it.
   * @param right `patch deployments/scale`, `list deployments`, `watch leases` …
   */
  forbid(right: string): () => void {
    this.#rights.add(right);
    return () => this.#rights.delete(right);
  }

  /** @throws {ScriptedRefusal} */
  checkRights({ method, target, query }: KubeQuestion): void {
    const verb = verbOf(method, { isOne: target.name !== undefined, isWatch: query.has('watch') });
    const { resource, subresource, namespace, name } = target;
    const what = subresource === undefined ? resource : `${resource}/${subresource}`;
    if (!this.#rights.has(`${verb} ${what}`)) return;
    const { group } = KUBE_RESOURCES[resource];
    const object = `${group === '' ? resource : `${resource}.${group}`}${name === undefined ? '' : ` "${name}"`}`;
    const where = namespace === undefined ? 'at the cluster scope' : `in the namespace "${namespace}"`;
    const message = `${object} is forbidden: User "${USER}" cannot ${verb} resource "${what}" in API group "${group}" ${where}`;
    throw new ScriptedRefusal(message, { status: 403, reason: 'Forbidden' });
  }

  /** Whether a script has taken the request over. */
  act(pending: Pending): boolean {
    const script = [...this.#scripts].find(({ pattern }) => pattern.test(pending.line));
    if (script === undefined) return false;
    if (--script.left === 0) this.#scripts.delete(script);
    script.act(pending);
    return true;
  }

  arrived(): void {
    for (const resolve of this.#arrivals) resolve();
    this.#arrivals.clear();
  }

  /** Resolves with the next request. */
  arrival(): Promise<void> {
    return new Promise((resolve) => this.#arrivals.add(resolve));
  }

  #script(options: {
    readonly pattern: RegExp;
    readonly times: number | undefined;
    readonly act: (pending: Pending) => void;
  }): () => void {
    const { pattern, times = Number.POSITIVE_INFINITY, act } = options;
    const script: Script = { pattern, act, left: times };
    this.#scripts.add(script);
    return () => this.#scripts.delete(script);
  }
}

function verbOf(method: string, about: { readonly isOne: boolean; readonly isWatch: boolean }): string {
  if (method !== 'GET') return { POST: 'create', PUT: 'update', PATCH: 'patch' }[method] ?? 'delete';
  if (about.isOne) return 'get';
  return about.isWatch ? 'watch' : 'list';
}
