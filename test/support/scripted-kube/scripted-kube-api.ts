import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ServerOptions } from 'node:https';
import type { KubeObject } from '../../../src/backends/kubernetes/api/api-shapes.ts';
import type { KubeAccess } from '../../../src/backends/kubernetes/api/kube-transport.ts';
import { ScriptedAnswers } from './scripted-kube-answers.ts';
import { certifiedName, readText, ScriptedListener } from './scripted-kube-listener.ts';
import { ScriptedObjects, type StoredObject, withReplicas, withScale } from './scripted-kube-objects.ts';
import type { KubeResource } from './scripted-kube-paths.ts';
import { ScriptedRouter } from './scripted-kube-router.ts';
import { ScriptedScripts } from './scripted-kube-scripts.ts';
import { ScriptedWatches } from './scripted-kube-watches.ts';

/** A request as it came. */
export interface KubeRequestSeen {
  /** `PATCH /apis/apps/v1/namespaces/shop/deployments/db/scale?fieldManager=lazy-proxy`. */
  readonly line: string;
  readonly body: unknown;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** The name in the caller's certificate, where it has shown one. */
  readonly user: string | undefined;
}

/**
 * An API server that does on demand what a real one can't be brought to do: hangs, refuses, tells events twice or in
 * pieces or not at all, goes away. Real HTTP, without TLS unless it is given a certificate. Nothing happens by itself:
 * no controller scales, no endpoint appears. Whoever starts it closes it.
 */
export class ScriptedKubeApi {
  /** Oldest first. */
  readonly requests: KubeRequestSeen[] = [];
  readonly watches = new ScriptedWatches();
  readonly scripts = new ScriptedScripts();
  readonly #objects = new ScriptedObjects((event) => this.watches.tell(event));
  readonly #answers = new ScriptedAnswers(this.#objects);
  readonly #router = new ScriptedRouter({
    objects: this.#objects,
    answers: this.#answers,
    watches: this.watches,
    scripts: this.scripts,
  });
  readonly #listener: ScriptedListener;

  static async start(options: { readonly tls?: ServerOptions } = {}): Promise<ScriptedKubeApi> {
    const api = new ScriptedKubeApi(options.tls);
    await api.comeBack();
    return api;
  }

  constructor(tls?: ServerOptions) {
    this.#listener = new ScriptedListener({
      tls,
      receive: (request, response) => void this.#receive(request, response),
    });
  }

  get server(): string {
    return this.#listener.url;
  }

  /** How many there have been. */
  get connections(): number {
    return this.#listener.connections;
  }

  /** How many stand. */
  get openConnections(): number {
    return this.#listener.openConnections;
  }

  /** Of somebody who may do everything. */
  get access(): KubeAccess {
    const headers = () => (this.#router.token && { authorization: `Bearer ${this.#router.token}` }) || {};
    return { server: this.server, namespace: 'default', authorize: async () => ({ headers: headers() }) };
  }

  get(resource: KubeResource, key: string): StoredObject | undefined {
    const object = this.#objects.get(resource, key);
    return object && structuredClone(object);
  }

  /** Creates or replaces, as somebody else would; version, uid and generation are set by the server. */
  put(
    resource: KubeResource,
    object: { readonly metadata: object; readonly [field: string]: unknown },
  ): StoredObject {
    return structuredClone(this.#objects.put(resource, object as unknown as KubeObject));
  }

  /** Changes an object that is there, as somebody else would. @param key `shop/db`. */
  change(resource: KubeResource, key: string, apply: (object: StoredObject) => void): StoredObject {
    const object = this.get(resource, key);
    if (object === undefined) throw new Error(`there is no ${resource} ${key}`);
    apply(object);
    return this.put(resource, object);
  }

  /** Sets `spec.replicas` as somebody else would, in the object itself or in its scale. */
  scale(
    resource: 'deployments' | 'statefulsets',
    key: string,
    options: { readonly replicas: number; readonly manager: string; readonly subresource?: 'scale' },
  ): StoredObject {
    const set = options.subresource === 'scale' ? withScale : withReplicas;
    return this.change(resource, key, (object) => {
      Object.assign(object, set(object as unknown as KubeObject, options));
    });
  }

  remove(resource: KubeResource, key: string): void {
    this.#objects.remove(resource, key);
  }

  /** Sends the first half of the event of a change, and then ends the watches in order or breaks their connections. */
  cutChange(
    resource: KubeResource,
    key: string,
    { how, apply }: { readonly how: 'end' | 'drop'; readonly apply: (object: StoredObject) => void },
  ): void {
    const before = this.#objects.get(resource, key);
    this.watches.tellEvents('silent');
    const object = this.change(resource, key, apply) as unknown as KubeObject;
    this.watches.tellEvents('faithful');
    this.watches.cut({ version: this.#objects.version, resource, type: 'MODIFIED', object, before }, how);
  }

  /** Forgets history, and lets time pass: every version that anybody knows is too old (410). */
  expireVersions(): void {
    this.#objects.moveOn();
    this.#objects.forget();
  }

  /** The rest of every list that is being paged through is lost (410). */
  expirePages(): void {
    this.#answers.forgetPages();
  }

  /** Time passes without a change; the watches are told where it is now. */
  bookmark(resource?: KubeResource): number {
    this.#objects.moveOn();
    this.watches.bookmark(this.#objects.version, resource);
    return this.#objects.version;
  }

  /** Requests without `token` get 401; undefined = everybody may. */
  requireToken(token: string | undefined): void {
    this.#router.token = token;
  }

  /** Resolves when as many requests as `times` that match have come, since the start. */
  async requested(pattern: RegExp, times = 1): Promise<void> {
    while (this.count(pattern) < times) await this.scripts.arrival();
  }

  count(pattern: RegExp): number {
    return this.requests.filter(({ line }) => pattern.test(line)).length;
  }

  /** Every connection breaks and new ones are refused, as when the server is stopped. */
  async goAway(): Promise<void> {
    await this.#listener.goAway();
  }

  /** At the same address. */
  async comeBack(): Promise<void> {
    await this.#listener.comeBack();
  }

  async close(): Promise<void> {
    await this.goAway();
  }

  async #receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const text = await readText(request);
    if (text === undefined) return;
    const url = new URL(request.url ?? '/', 'http://api');
    const line = `${request.method} ${decodeURIComponent(url.pathname)}${decodeURIComponent(url.search)}`;
    const body: unknown = text === '' ? undefined : JSON.parse(text);
    this.requests.push({ line, body, headers: request.headers, user: certifiedName(request) });
    this.scripts.arrived();
    const { method = 'GET', headers } = request;
    const answer = () => this.#router.respond(response, { method, url, body, headers });
    if (!this.scripts.act({ line, response, answer })) answer();
  }
}
