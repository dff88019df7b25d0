/** The watches of the scripted API server, and all that can go wrong with them. */
import type { ServerResponse } from 'node:http';
import type { KubeObject } from '../../../src/backends/kubernetes/api/api-shapes.ts';
import type { ObjectEvent } from './scripted-kube-objects.ts';
import { isSelected, KUBE_RESOURCES, type KubeResource, type KubeTarget } from './scripted-kube-paths.ts';

interface Watch {
  readonly target: KubeTarget;
  readonly query: URLSearchParams;
  readonly response: ServerResponse;
}

/** What is told of one event: as it is, twice, or not at all. */
type Mode = 'faithful' | 'twice' | 'silent';

export class ScriptedWatches {
  readonly #watches = new Set<Watch>();
  #mode: Mode = 'faithful';

  /** How many stand. */
  count(resource?: KubeResource): number {
    return this.#which(resource).length;
  }

  add(watch: Watch): void {
    watch.response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders();
    this.#watches.add(watch);
    watch.response.on('close', () => this.#watches.delete(watch));
  }

  tell(event: ObjectEvent): void {
    for (const watch of this.#watches) this.tellOne(watch, event);
  }

  tellOne(watch: Watch, event: ObjectEvent): void {
    if (this.#mode === 'silent' || watch.target.resource !== event.resource) return;
    const line = eventLine(watch, event);
    if (line === undefined) return;
    watch.response.write(line);
    if (this.#mode === 'twice') watch.response.write(line);
  }

  /** From now on. */
  tellEvents(mode: Mode): void {
    this.#mode = mode;
  }

  /** Sends raw bytes down every watch of `resource`. */
  write(bytes: string | Uint8Array, resource?: KubeResource): void {
    for (const { response } of this.#which(resource)) response.write(bytes);
  }

  /** A bookmark at `version`. */
  bookmark(version: number, resource?: KubeResource): void {
    for (const { response, target } of this.#which(resource)) {
      const { apiVersion, kind } = KUBE_RESOURCES[target.resource];
      const object = { apiVersion, kind, metadata: { resourceVersion: String(version) } };
      response.write(`${JSON.stringify({ type: 'BOOKMARK', object })}\n`);
    }
  }

  /** Ends them in order, as the API server does after their time. */
  end(resource?: KubeResource): void {
    for (const { response } of this.#which(resource)) response.end();
  }

  /** Breaks their connections. */
  drop(resource?: KubeResource): void {
    for (const { response } of this.#which(resource)) response.destroy();
  }

  /** Sends the first half of an event, and then ends them in order, or breaks their connections. */
  cut(event: ObjectEvent, how: 'end' | 'drop'): void {
    for (const watch of this.#which(event.resource)) {
      const line = eventLine(watch, event) ?? '';
      const half = line.slice(0, Math.ceil(line.length / 2));
      if (how === 'end') watch.response.end(half);
      else watch.response.write(half, () => watch.response.destroy());
    }
  }

  #which(resource: KubeResource | undefined): readonly Watch[] {
    const all = [...this.#watches];
    return resource === undefined ? all : all.filter(({ target }) => target.resource === resource);
  }
}

/** What leaves or enters a selection is deleted or added for its watchers. */
function eventLine(watch: Watch, { type, object, before }: ObjectEvent): string | undefined {
  const selection = { namespace: watch.target.namespace, query: watch.query };
  const isIn = (candidate: KubeObject | undefined) =>
    candidate !== undefined && isSelected(candidate, selection);
  const was = isIn(before);
  const is = type !== 'DELETED' && isIn(object);
  if (!was && !is) return undefined;
  const told = was ? (is ? 'MODIFIED' : 'DELETED') : 'ADDED';
  return `${JSON.stringify({ type: told, object })}\n`;
}
