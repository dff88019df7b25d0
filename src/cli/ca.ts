import path from 'node:path';
import { EXIT_OK, EXIT_PROBLEMS, EXIT_UNUSABLE } from '../system/exit-codes.ts';
import { messageOf } from '../system/message-of.ts';
import { readStateFile } from '../system/state/state-folder.ts';
import { AUTHORITY_FILE, MAX_AUTHORITY_BYTES, parseAuthority } from '../system/tls/authority-pem.ts';
import { type CommandIo, readOwnSettings } from './running-proxy.ts';

/**
 * Prints the certificate that devices have to trust, of what the proxy on this machine keeps, PEM; never a key. Exit status: 0 printed, 1 there is
 * none, 2 it can't be read.
 */
export async function printAuthority(
  options: { readonly config: string | undefined },
  io: CommandIo,
): Promise<number> {
  const { stateDir } = await readOwnSettings({ ...options, statusPort: undefined }, io);
  if (stateDir === 'off') {
    io.stderr('lazy-proxy: state_dir is off, so no certificate authority is kept');
    return EXIT_PROBLEMS;
  }
  const file = path.join(stateDir, AUTHORITY_FILE);
  try {
    const bytes = await readStateFile(file, { maxBytes: MAX_AUTHORITY_BYTES });
    if (bytes === undefined) {
      const when = 'a proxy that runs makes it, where http.self_signed_domains is set and something needs it';
      io.stderr(`lazy-proxy: there is no certificate authority in ${stateDir}: ${when}`);
      return EXIT_PROBLEMS;
    }
    const read = parseAuthority(String(bytes));
    if (typeof read === 'string') throw new Error(`${file} can't be used: ${read}`);
    for (const line of String(read.root).trimEnd().split('\n')) io.stdout(line);
    return EXIT_OK;
  } catch (error) {
    const hint =
      (error as NodeJS.ErrnoException).code === 'EACCES' ? "; it is for the proxy's user alone" : '';
    io.stderr(`lazy-proxy: ${messageOf(error)}${hint}`);
    return EXIT_UNUSABLE;
  }
}
