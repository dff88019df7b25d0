import { formatListenAddress } from '../model/service.ts';
import type { Settings } from '../model/settings.ts';
import { type StatusContent, StatusServer } from './status-server.ts';
import { describeBindError } from '../system/net/bind-error.ts';

/** Opens the status server; the caller closes it. @throws {Error} that says why it can't listen, and what to do. */
export async function openStatusServer(
  address: Exclude<Settings['status'], 'off'>,
  {
    content,
    ...options
  }: { readonly content: StatusContent } & NonNullable<ConstructorParameters<typeof StatusServer>[1]>,
): Promise<StatusServer> {
  const server = new StatusServer(content, options);
  try {
    await server.open(address);
    return server;
  } catch (cause) {
    const where = formatListenAddress(address);
    const reason = describeBindError(cause as NodeJS.ErrnoException);
    throw new Error(
      `the status server can't listen on ${where}: ${reason}; choose another one with status.listen, STATUS_PORT or --status-port`,
      { cause },
    );
  }
}
