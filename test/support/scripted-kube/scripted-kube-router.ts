/** Takes a request to what answers it, after checking who asks. */
import type { IncomingHttpHeaders, ServerResponse } from 'node:http';
import type { KubeQuestion, ScriptedAnswers } from './scripted-kube-answers.ts';
import { type ScriptedObjects, ScriptedRefusal } from './scripted-kube-objects.ts';
import { parseKubePath } from './scripted-kube-paths.ts';
import type { ScriptedScripts } from './scripted-kube-scripts.ts';
import type { ScriptedWatches } from './scripted-kube-watches.ts';

interface Parts {
  readonly objects: ScriptedObjects;
  readonly answers: ScriptedAnswers;
  readonly watches: ScriptedWatches;
  readonly scripts: ScriptedScripts;
}

interface Arrived {
  readonly method: string;
  readonly url: URL;
  readonly body: unknown;
  readonly headers: IncomingHttpHeaders;
}

export class ScriptedRouter {
  /** Requests without it get 401; undefined = everybody may. */
  token: string | undefined;
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  respond(response: ServerResponse, arrived: Arrived): void {
    try {
      const question = this.#admit(arrived);
      if (isWatch(question)) return this.#watch(response, question);
      const { status, body } = this.#parts.answers.answer(question);
      send(response, { status, body });
    } catch (error) {
      if (!(error instanceof ScriptedRefusal)) throw error;
      const { status, reason, message } = error;
      const body = { kind: 'Status', apiVersion: 'v1', status: 'Failure', message, reason, code: status };
      send(response, { status, body });
    }
  }

  #admit({ method, url, body, headers }: Arrived): KubeQuestion {
    if (this.token !== undefined && headers.authorization !== `Bearer ${this.token}`)
      throw new ScriptedRefusal('Unauthorized', { status: 401, reason: 'Unauthorized' });
    const target = parseKubePath(url.pathname);
    if (target === undefined) {
      const message = 'the server could not find the requested resource';
      throw new ScriptedRefusal(message, { status: 404, reason: 'NotFound' });
    }
    const contentType = headers['content-type'] ?? '';
    const question = { method, target, query: url.searchParams, contentType, body };
    this.#parts.scripts.checkRights(question);
    return question;
  }

  #watch(response: ServerResponse, { target, query }: KubeQuestion): void {
    const { objects, watches } = this.#parts;
    const { resource } = target;
    const version = Number(query.get('resourceVersion') || 0);
    const missed = version === 0 ? [] : objects.since(version, resource);
    if (missed === undefined) {
      const message = `too old resource version: ${version}`;
      throw new ScriptedRefusal(message, { status: 410, reason: 'Expired' });
    }
    const watch = { target, query, response };
    watches.add(watch);
    for (const event of missed) watches.tellOne(watch, event);
    if (version !== 0) return;
    for (const object of objects.all(resource))
      watches.tellOne(watch, { version: 0, resource, type: 'ADDED', object, before: undefined });
  }
}

function isWatch({ method, target, query }: KubeQuestion): boolean {
  return method === 'GET' && target.name === undefined && ['true', '1'].includes(query.get('watch') ?? '');
}

function send(
  response: ServerResponse,
  { status, body }: { readonly status: number; readonly body: unknown },
): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}
