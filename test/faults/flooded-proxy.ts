/** The built program with 1,024 file descriptors, in front of services that a flood is let loose on. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { createSocket, type Socket as Datagrams } from 'node:dgram';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { freePorts } from '../support/free-ports.ts';
import { PROGRAM } from '../support/run-program.ts';

export const DESCRIPTORS = 1_024;

/** Answers each chunk, and each datagram, with what it was sent. */
const ECHO = `
  const port = Number(process.argv[1]);
  require('node:net').createServer((socket) => socket.on('error', () => {}).pipe(socket)).listen(port, '127.0.0.1');
  const datagrams = require('node:dgram').createSocket('udp4');
  datagrams.on('message', (message, { port, address }) => datagrams.send(message, port, address));
  datagrams.bind(port, '127.0.0.1');
`;

export interface StatusRow {
  readonly service: string;
  readonly protocol: string;
  readonly state: string;
  readonly active_conns: number;
  readonly refused?: Readonly<Record<string, number>>;
  readonly dropped?: Readonly<Record<string, number>>;
}

/** How requests went: those that got no answer, and how long the others took. */
export interface Requests {
  readonly lost: number;
  readonly p99Ms: number;
}

export class FloodedProxy {
  readonly ports: { readonly attacked: number; readonly other: number; readonly asleep: number };
  readonly statusPort: number;
  readonly #process: ChildProcessByStdio<null, Readable, null>;
  readonly #folder: string;
  readonly #clients = new Set<Socket>();
  readonly #senders = new Set<Datagrams>();
  #log = '';

  static async start(): Promise<FloodedProxy> {
    const [attacked = 0, other = 0, asleep = 0, statusPort = 0, first = 0, second = 0] = await freePorts(6);
    const folder = await mkdtemp(path.join(tmpdir(), 'lazy-proxy-faults-'));
    const echo = (target: number) => [process.execPath, '-e', ECHO, `${target}`];
    const file = {
      ...{ status: { listen: `127.0.0.1:${statusPort}` }, docker: { labels: false } },
      services: {
        attacked: {
          ...{ command: echo(first), ports: [`127.0.0.1:${attacked}:${first}`] },
          ...{ udp_ports: [`127.0.0.1:${attacked}:${first}`], udp_readiness: 'open' },
        },
        other: { command: echo(second), ports: [`127.0.0.1:${other}:${second}`] },
        // Nobody listens at its port: whoever comes waits.
        asleep: {
          command: [process.execPath, '-e', 'setInterval(() => {}, 60000)'],
          ...{ ports: [`127.0.0.1:${asleep}:1`], start_timeout: '60s' },
        },
      },
    };
    await writeFile(path.join(folder, 'lazy-proxy.yaml'), JSON.stringify(file));
    const proxy = new FloodedProxy(folder, { ports: { attacked, other, asleep }, statusPort });
    while (!proxy.#log.includes('ready')) await once(proxy.#process.stdout, 'data');
    return proxy;
  }

  private constructor(
    folder: string,
    options: { readonly ports: FloodedProxy['ports']; readonly statusPort: number },
  ) {
    this.ports = options.ports;
    this.statusPort = options.statusPort;
    this.#folder = folder;
    const args = [`--nofile=${DESCRIPTORS}`, process.execPath, PROGRAM, 'run'];
    this.#process = spawn('prlimit', args, { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] });
    this.#process.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      this.#log += chunk;
    });
  }

  /** The lines that it has logged so far. */
  get lines(): readonly string[] {
    return this.#log.split('\n').filter((line) => line !== '');
  }

  /** What the process has open now. */
  async countDescriptors(): Promise<number> {
    return (await readdir(`/proc/${this.#process.pid}/fd`)).length;
  }

  /** Its memory, in MiB. */
  async readMemoryMib(): Promise<number> {
    const text = await readFile(`/proc/${this.#process.pid}/smaps_rollup`, 'utf8');
    return Number(/^Private_Dirty:\s+(\d+)/m.exec(text)?.[1]) / 1024;
  }

  /** The rows of the status. @throws where it doesn't answer within 5 s. */
  async status(): Promise<readonly StatusRow[]> {
    const answer = await fetch(`http://127.0.0.1:${this.statusPort}/status`, {
      headers: { connection: 'close' },
      signal: AbortSignal.timeout(5_000),
    });
    return (await answer.json()) as StatusRow[];
  }

  async row(service: string, protocol = 'tcp'): Promise<StatusRow> {
    const rows = await this.status();
    const row = rows.find((candidate) => candidate.service === service && candidate.protocol === protocol);
    if (row === undefined) throw new Error(`there is no row of ${service}`);
    return row;
  }

  /** One request on a connection of its own: how long it took, or undefined where it got no answer. */
  async ask(port: number, localAddress?: string): Promise<number | undefined> {
    const startMs = performance.now();
    const client = connect({ host: '127.0.0.1', port, ...(localAddress !== undefined && { localAddress }) });
    try {
      client.setTimeout(5_000, () => client.destroy());
      client.write('ping');
      const [answer] = await Promise.race([
        once(client, 'data'),
        once(client, 'close').then(() => [undefined]),
      ]);
      return answer === undefined ? undefined : performance.now() - startMs;
    } catch {
      return undefined;
    } finally {
      client.destroy();
    }
  }

  /** So many requests to the other service, four at a time. */
  async askOther(count: number): Promise<Requests> {
    const times: number[] = [];
    let left = count;
    const askAgain = async () => {
      while (left-- > 0) {
        const ms = await this.ask(this.ports.other);
        if (ms !== undefined) times.push(ms);
      }
    };
    await Promise.all(Array.from({ length: 4 }, askAgain));
    times.sort((a, b) => a - b);
    return {
      lost: count - times.length,
      p99Ms: times[Math.floor(times.length * 0.99)] ?? Number.POSITIVE_INFINITY,
    };
  }

  /**
   * Connects so many clients that then do nothing, or send `text`; resolves when the system has taken each.
   * @param options.isDeaf whether they never read, so that they don't even notice that they were cut off.
   */
  async hold(
    port: number,
    options: {
      readonly count: number;
      readonly addresses?: number;
      readonly text?: string;
      readonly isDeaf?: boolean;
    },
  ): Promise<void> {
    const { count, addresses = 1, text, isDeaf = false } = options;
    const connecting = [];
    for (let index = 0; index < count; index++) {
      const number = index % addresses;
      const localAddress = `127.1.${number >> 7}.${(number & 127) + 1}`;
      const client = connect({ host: '127.0.0.1', port, localAddress });
      this.#clients.add(client.on('error', () => {}));
      if (isDeaf) client.pause();
      else client.resume();
      if (text !== undefined) client.write(text);
      connecting.push(
        new Promise<void>((resolve) => void client.once('connect', resolve).once('close', () => resolve())),
      );
      if (connecting.length % 100 === 0) await Promise.all(connecting.splice(0));
    }
    await Promise.all(connecting);
  }

  /** Sends one empty datagram from each of so many ports. */
  async sendEmpty(port: number, count: number): Promise<void> {
    for (let index = 0; index < count; index++) {
      const sender = createSocket('udp4');
      this.#senders.add(sender);
      await new Promise<void>((resolve) => sender.send('', port, '127.0.0.1', () => resolve()));
    }
  }

  /** Of the clients that were connected, those that still are. */
  get held(): number {
    return [...this.#clients].filter((client) => !client.destroyed).length;
  }

  /** Ends the flood; resolves when its sockets are closed. */
  async release(): Promise<void> {
    const closing = [...this.#clients]
      .filter((client) => !client.closed)
      .map((client) => once(client, 'close'));
    for (const client of this.#clients) client.destroy();
    for (const sender of this.#senders) sender.close();
    this.#clients.clear();
    this.#senders.clear();
    await Promise.all(closing);
  }

  async stop(): Promise<void> {
    await this.release();
    const exited = once(this.#process, 'exit');
    this.#process.kill('SIGTERM');
    await exited;
    await rm(this.#folder, { recursive: true, force: true });
  }
}
