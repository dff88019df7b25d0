import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';

/** Why no client can be put into a network of its own here; undefined where it can. */
export function whyNoFarClient(): string | undefined {
  if (process.platform !== 'linux') return 'it needs Linux';
  if (process.getuid?.() !== 0) return 'it needs root';
  const ip = ['/usr/sbin/ip', '/sbin/ip', '/usr/bin/ip'].find(existsSync);
  return ip === undefined ? 'it needs ip (iproute2)' : undefined;
}

/** Reads only when it is told to, and tells how many bytes came and their SHA-256 at the end. */
const CLIENT = `
const { createHash } = require('node:crypto');
const socket = require('node:net').connect(Number(process.argv[2]), process.argv[1], () => console.log('connected'));
socket.pause();
socket.write('ping');
const hash = createHash('sha256');
let bytes = 0;
socket.on('data', (chunk) => { bytes += chunk.length; hash.update(chunk); });
socket.on('end', () => { console.log('end ' + bytes + ' ' + hash.digest('hex')); socket.end(); });
socket.on('error', (error) => console.log('error ' + error.code));
process.stdin.once('data', () => socket.resume());
`;

/** A client in a network namespace of its own, at the other end of a cable that can be cut. `close()` removes all of it. */
export class FarClient {
  readonly #namespace: string;
  readonly #cable: string;
  /** The proxy's end of the cable. */
  readonly address: string;
  readonly #farAddress: string;
  #process: ChildProcess | undefined;
  #lines: AsyncIterator<string> | undefined;

  /** @param index 0–63; each at the same time needs its own. */
  constructor(index: number) {
    this.#namespace = `lp-${process.pid}-${index}`;
    this.address = `198.18.200.${index * 4 + 1}`;
    this.#farAddress = `198.18.200.${index * 4 + 2}`;
    const cable = `lp${process.pid}-${index}`;
    this.#cable = cable;
    ip('netns', 'add', this.#namespace);
    ip('link', 'add', cable, 'type', 'veth', 'peer', 'name', 'far', 'netns', this.#namespace);
    ip('addr', 'add', `${this.address}/30`, 'dev', cable);
    ip('link', 'set', cable, 'up');
    this.#ipThere('addr', 'add', `${this.#farAddress}/30`, 'dev', 'far');
    this.#ipThere('link', 'set', 'far', 'up');
  }

  /** Connects, and sends `ping`; resolves when it is connected. */
  async connect(port: number): Promise<void> {
    const node = [process.execPath, '-e', CLIENT, this.address, String(port)];
    const child = spawn('ip', ['netns', 'exec', this.#namespace, ...node], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#process = child;
    this.#lines = createInterface(child.stdout)[Symbol.asyncIterator]();
    const line = await this.nextLine();
    if (line !== 'connected') throw new Error(`the far client says: ${line}`);
  }

  /** Begins to read. */
  read(): void {
    this.#process?.stdin?.write('read\n');
  }

  /** What it says next: `end <bytes> <sha256>`, or `error <code>`. */
  async nextLine(): Promise<string | undefined> {
    return (await this.#lines?.next())?.value as string | undefined;
  }

  /** From now on nothing passes, and nobody is told. */
  cutCable(): void {
    this.#ipThere('link', 'set', 'far', 'down');
  }

  async close(): Promise<void> {
    const child = this.#process;
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    // Both its ends; with the namespace alone it would go when the kernel has time.
    ip('link', 'del', this.#cable);
    ip('netns', 'del', this.#namespace);
  }

  #ipThere(...args: readonly string[]): void {
    ip('-n', this.#namespace, ...args);
  }
}

function ip(...args: readonly string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'inherit'] });
}
