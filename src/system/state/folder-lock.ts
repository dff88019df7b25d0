import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdir, rm } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import path from 'node:path';
import type { Clock } from '../clock.ts';

/** What a lock's socket says to whoever asks whether the folder is locked. */
const LOCKED = 'locked\n';
/** What takes longer to say it lives, and is busy. */
const MAX_ANSWER_MS = 2_000;
const NAME = /^lock-[0-9a-f]{16}$/;
/** Of every system; Linux has four bytes more. Node cuts what is longer, and the socket would be elsewhere. */
const MAX_SOCKET_PATH_BYTES = 103;

/**
 * `impossible`: nobody has locked it, and nobody can, as where the file system knows no sockets. `release` gives the lock back;
 * it is idempotent.
 */
export type LockAttempt =
  | { readonly kind: 'locked'; readonly release: () => Promise<void> }
  | { readonly kind: 'taken' }
  | { readonly kind: 'impossible'; readonly error: unknown };

/**
 * Locks a folder for this process until it ends, however it ends: the lock is a Unix socket in the folder that answers, and what
 * a killed process left there answers nobody. It holds for all containers of a machine that share the folder, but not
 * between machines. Never rejects.
 *
 * Each process listens on a socket with a name of its own before it looks for others, so of two that start at once at least one sees
 * the other. The lower name wins unless the other one has decided already, for which it waits.
 */
export async function lockFolder(folder: string, clock: Clock): Promise<LockAttempt> {
  const name = `lock-${randomBytes(8).toString('hex')}`;
  const tooLong = Buffer.byteLength(path.join(folder, name)) - MAX_SOCKET_PATH_BYTES;
  if (tooLong > 0) return { kind: 'impossible', error: new Error(`its path is ${tooLong} bytes too long`) };
  let decide: (isOurs: boolean) => void = () => {};
  const decided = new Promise<boolean>((resolve) => {
    decide = resolve;
  });
  const server = createServer((asker) => {
    asker.on('error', () => {}).resume();
    void decided.then((isOurs) => asker.end(isOurs ? LOCKED : '', () => asker.destroy()));
  });
  try {
    await listen(server, path.join(folder, name));
  } catch (error) {
    const isTaken = await isLockedByOthers(folder, { before: '', clock }).catch(() => false);
    return isTaken ? { kind: 'taken' } : { kind: 'impossible', error };
  }
  // Where the folder can be written and not be listed, nobody can tell.
  const isTaken = await isLockedByOthers(folder, { before: name, clock }).catch(() => false);
  decide(!isTaken);
  let closing: Promise<unknown> | undefined;
  const release = async () => {
    closing ??= once(server.close(), 'close');
    await closing;
  };
  if (!isTaken) return { kind: 'locked', release };
  await release();
  return { kind: 'taken' };
}

/** @param options.before the name of our own socket: who has a lower one wins at once. */
async function isLockedByOthers(
  folder: string,
  { before: own, clock }: { readonly before: string; readonly clock: Clock },
): Promise<boolean> {
  const others = (await readdir(folder)).filter((name) => NAME.test(name) && name !== own);
  const answers = await Promise.all(
    others.map((name) => ask(path.join(folder, name), { isLower: name < own, clock })),
  );
  return answers.includes(true);
}

/** Whether the process of another socket has the lock, or gets it. One that a dead process left behind is removed. */
function ask(
  socketPath: string,
  { isLower, clock }: { readonly isLower: boolean; readonly clock: Clock },
): Promise<boolean> {
  return new Promise((resolve) => {
    const socket: Socket = connect(socketPath);
    const answer = (isLocked: boolean) => {
      cancel();
      socket.destroy();
      resolve(isLocked);
    };
    const cancel = clock.schedule(MAX_ANSWER_MS, () => answer(true));
    socket.on('connect', () => isLower && answer(true));
    socket.on('data', () => answer(true));
    socket.on('end', () => answer(false));
    socket.on('error', ({ code }: NodeJS.ErrnoException) => {
      if (code === 'ECONNREFUSED') {
        // It is gone before the lock is given, so whoever has the lock finds nothing that is left behind.
        rm(socketPath, { force: true }).then(
          () => answer(false),
          () => answer(false),
        );
        return;
      }
      // Whatever else goes wrong is no proof that it is dead.
      answer(code !== 'ENOENT' && code !== 'ECONNRESET');
    });
  });
}

async function listen(server: Server, socketPath: string): Promise<void> {
  // Whoever may use the folder may ask, also as another user: a socket that can't be asked would look alive for ever.
  server.listen({ path: socketPath, readableAll: true, writableAll: true });
  await once(server, 'listening');
  // As when there are no descriptors left: who asks then waits.
  server.on('error', () => {}).unref();
}
