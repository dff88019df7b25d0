import type { MessagePort } from 'node:worker_threads';
import type { PairSockets } from './relayed-pair.ts';

/** Connections on one thread; descriptors run out before. */
export const MAX_CONNECTIONS = 65_536;

/** Pipes of one thread: each is needed only while it holds bytes that a slow side doesn't take. */
const MAX_PIPES = 128;

/** What the main thread and the relay thread both see. A connection is known by its slot. */
export interface SharedState {
  /** By slot: 1 while the thread's two descriptors are open. Cleared before they are closed. */
  readonly open: Int32Array;
  /** By slot: bytes to the upstream, bytes to the client, and when bytes last moved, ms since the epoch. */
  readonly traffic: Float64Array;
  /** Descriptors of the pipes that exist, in pairs; 0 = none. */
  readonly pipes: Int32Array;
  /** 1 as soon as the thread is to end. */
  readonly quit: Int32Array;
}

/** Values of `traffic` for each slot. */
export const TRAFFIC_FIELDS = 3;

/** Pages that nobody touches take no memory. */
export function createSharedState(): SharedState {
  return {
    open: new Int32Array(new SharedArrayBuffer(MAX_CONNECTIONS * 4)),
    traffic: new Float64Array(new SharedArrayBuffer(MAX_CONNECTIONS * TRAFFIC_FIELDS * 8)),
    pipes: new Int32Array(new SharedArrayBuffer(MAX_PIPES * 2 * 4)),
    quit: new Int32Array(new SharedArrayBuffer(4)),
  };
}

/** What the thread is started with; it owns none of the descriptors. */
export interface ThreadStart {
  readonly epoll: number;
  /** An eventfd that is written to when there are commands. */
  readonly bell: number;
  readonly shared: SharedState;
  /** Commands come here, and slots whose connections have ended go back. */
  readonly port: MessagePort;
}

export type ThreadCommand =
  /** The descriptors belong to the thread from now on. */
  | ({ readonly kind: 'join'; readonly slot: number } & PairSockets)
  /** Resets both sides of a connection; one that has ended meanwhile is passed over. */
  | { readonly kind: 'destroy'; readonly slot: number };

/** The slots whose connections have ended, each once. */
export type ThreadReport = readonly number[];
