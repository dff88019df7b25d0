import { isUtf8 } from 'node:buffer';
import { constants } from 'node:fs';
import { access, type FileHandle, open, realpath, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Clock } from '../system/clock.ts';

/** How long reading may take, in ms: a file system that has gone away would never answer. */
const READ_TIMEOUT_MS = 10_000;

/** The longest file, in bytes: ten thousand services take a quarter of it. Parsing takes fifty times the size in memory. */
const MAX_BYTES = 8 * 1_048_576;

/** Who may write, of the three that a mode tells of. */
const GROUP_WRITE = 0o020;
const OTHERS_WRITE = 0o002;

/**
 * Reads a configuration file as it stands. Only regular files are read, and links to them: a FIFO or a device could
 * hold the reader for ever. It may have 8 MiB.
 * @param options.named whether the user named the file. One that was only found is refused where others than its owner,
 * root or the proxy's own user and group may write it or make another in its place: whoever writes the file decides what
 * the proxy runs, and a proxy that holds an engine's socket may do anything.
 * @throws {Error} with Node's `code` where there is no file or it can't be read; otherwise with the reason, which is fit
 * for a message after the file's name.
 */
export async function readConfigFile(
  path: string,
  { named, clock }: { readonly named: boolean; readonly clock: Clock },
): Promise<string> {
  return withinTime(clock, async () => {
    // Without O_NONBLOCK the opening of a FIFO waits for somebody who writes into it.
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      await refuseOddFile(file);
      if (!named) await refuseWritableByOthers(path, file);
      return await readBounded(file);
    } finally {
      await file.close();
    }
  });
}

/** Reads a configuration from a stream such as standard input. @throws as `readConfigFile()`. */
export async function readConfigStream(stream: AsyncIterable<Buffer | string>): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of stream) {
    chunks.push(Buffer.from(chunk));
    length += chunk.length;
    if (length > MAX_BYTES) throw new Error(describeTooLong(length));
  }
  return decode(Buffer.concat(chunks));
}

/** Why a configuration file can't be read, in words that follow its name: one answer from every command. */
export function describeReadError(error: unknown): string {
  return `can't be read: ${error instanceof Error ? error.message : String(error)}`;
}

/** Bytes of another encoding would otherwise become `\ufffd` in names and values. */
function decode(bytes: Buffer): string {
  const [first, second] = bytes;
  const hasMark = (first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff);
  // Without the mark every other byte of Latin text is 0.
  const hasZero = bytes.length > 1 && (first === 0) !== (second === 0);
  if (hasMark || hasZero) throw new Error('it is UTF-16, not UTF-8; save it as UTF-8');
  const text = bytes.toString('utf8');
  if (isUtf8(bytes)) return text;
  const line = text.slice(0, text.indexOf('\ufffd')).split('\n').length;
  throw new Error(`line ${line} is not UTF-8; save the file as UTF-8`);
}

async function refuseOddFile(file: FileHandle): Promise<void> {
  const info = await file.stat();
  if (info.isDirectory()) {
    throw new Error(
      'it is a folder, not a file; Docker makes one where the file of a bind mount is missing on the host',
    );
  }
  if (!info.isFile()) throw new Error('it is a FIFO, a socket or a device; only a regular file is read');
}

/** Reads at most `MAX_BYTES`, also of a file that grows meanwhile or states a wrong size. */
async function readBounded(file: FileHandle): Promise<string> {
  const { size } = await file.stat();
  if (size > MAX_BYTES) throw new Error(describeTooLong(size));
  const chunks: Buffer[] = [];
  let length = 0;
  for (;;) {
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(Math.max(4_096, size + 1 - length)));
    if (bytesRead === 0) return decode(Buffer.concat(chunks));
    chunks.push(buffer.subarray(0, bytesRead));
    length += bytesRead;
    if (length > MAX_BYTES) throw new Error(describeTooLong(length));
  }
}

function describeTooLong(bytes: number): string {
  const mib = (bytes / 1_048_576).toFixed(1);
  return `it has ${mib} MiB, and may have ${MAX_BYTES / 1_048_576} MiB; split what is generated, or leave out what is not needed`;
}

async function refuseWritableByOthers(path: string, file: FileHandle): Promise<void> {
  const remedy = 'take that right away, or name the file with --config';
  const who = whoElseMayWrite(await file.stat());
  if (who !== undefined) throw new Error(`${who} may write it; ${remedy}`);
  // The folder of a link's target counts too: whoever may write there can put another file in its place.
  for (const folder of new Set([dirname(path), dirname(await realpath(path))])) {
    const owner = whoElseMayWrite(await stat(folder));
    if (owner === undefined || (await isReadOnly(folder))) continue;
    throw new Error(`${owner} may write in its folder ${folder}; ${remedy}`);
  }
}

/** Undefined where only the owner, root or the proxy's own group may. */
function whoElseMayWrite(info: {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}): string | undefined {
  if ((info.mode & OTHERS_WRITE) !== 0) return 'everybody';
  if ((info.mode & GROUP_WRITE) === 0) return undefined;
  // A group with the number of its owner is the owner's own, by the custom of most distributions.
  const trusted = [0, info.uid, ...(process.getgroups?.() ?? []), process.getgid?.()];
  return trusted.includes(info.gid) ? undefined : `the group ${info.gid}`;
}

/** Volumes of ConfigMaps have the mode 0777 and are mounted read-only. */
async function isReadOnly(folder: string): Promise<boolean> {
  return access(folder, constants.W_OK).then(
    () => false,
    (error: NodeJS.ErrnoException) => error.code === 'EROFS',
  );
}

function withinTime<T>(clock: Clock, task: () => Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const cancel = clock.schedule(READ_TIMEOUT_MS, () => {
      reject(new Error(`it could not be read within ${READ_TIMEOUT_MS / 1_000} s`));
    });
    task().then(resolve, reject).finally(cancel);
  });
}
