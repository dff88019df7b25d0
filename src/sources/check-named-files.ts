import type { FileConfig } from '../config/file.ts';
import type { Origin, Sourced } from '../model/origin.ts';
import type { Problem } from '../model/problem.ts';
import type { CertificateFiles, WaitingPage } from '../model/web.ts';
import { messageOf } from '../system/message-of.ts';
import { checkCertificate } from '../system/tls/check-certificate.ts';

/** Reads a file as UTF-8; rejects with the reason, which is fit for a message after the file's name. */
export type ReadNamedFile = (path: string) => Promise<string>;

interface Named<T> {
  readonly place: string;
  readonly value: T;
  readonly origin: Origin;
}

/**
 * Looks at the files that a configuration names: whether certificates fit their keys and count now, and whether waiting pages are
 * there. What can't be read is a warning, since it may be there where the file will be used.
 */
export async function checkNamedFiles(
  config: FileConfig,
  { nowMs, read }: { readonly nowMs: number; readonly read: ReadNamedFile },
): Promise<readonly Problem[]> {
  const found = await Promise.all([
    ...listCertificates(config).map((named) => checkFiles(named, { nowMs, read })),
    ...listPages(config).map((named) => checkPage(named, read)),
  ]);
  return found.flat();
}

function listCertificates({ settings, services }: FileConfig): readonly Named<CertificateFiles>[] {
  const shared = settings['http.certificates'] as Sourced<readonly CertificateFiles[]> | undefined;
  return [
    ...(shared?.value ?? []).map((value, index) => ({
      ...{ place: `http.certificates[${index}]`, value, origin: shared?.origin ?? { kind: 'default' } },
    })),
    ...services.flatMap(({ draft: { tls } }): readonly Named<CertificateFiles>[] =>
      tls !== undefined && tls.value !== 'off' && tls.value.kind === 'files'
        ? [{ place: 'tls', value: tls.value, origin: tls.origin }]
        : [],
    ),
  ];
}

function listPages({ defaults, services }: FileConfig): readonly Named<string>[] {
  const drafts = [defaults, ...services.map(({ draft }) => draft)];
  return drafts.flatMap(({ waiting_page: page }: { readonly waiting_page?: Sourced<WaitingPage> }) =>
    page?.value.kind === 'file'
      ? [{ place: 'waiting_page', value: page.value.path, origin: page.origin }]
      : [],
  );
}

async function checkFiles(
  { place, value, origin }: Named<CertificateFiles>,
  { nowMs, read }: { readonly nowMs: number; readonly read: ReadNamedFile },
): Promise<readonly Problem[]> {
  const contents: string[] = [];
  for (const path of [value.cert, value.key]) {
    const content = await tryRead(path, read);
    if (content.kind === 'unread') return [unread({ place, value: path, origin }, content.why)];
    contents.push(content.text);
  }
  const [cert = '', key = ''] = contents;
  return checkCertificate({ cert, key, nowMs }).map(({ severity, message }): Problem => {
    const which = message.startsWith('the key') ? value.key : value.cert;
    return { code: 'bad-certificate', severity, message: `${place}: ${which}: ${message}`, origin };
  });
}

async function checkPage(named: Named<string>, read: ReadNamedFile): Promise<readonly Problem[]> {
  const content = await tryRead(named.value, read);
  return content.kind === 'unread' ? [unread(named, content.why)] : [];
}

type Content =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'unread'; readonly why: string };

async function tryRead(path: string, read: ReadNamedFile): Promise<Content> {
  try {
    return { kind: 'text', text: await read(path) };
  } catch (error) {
    return { kind: 'unread', why: messageOf(error) };
  }
}

function unread({ place, value, origin }: Named<string>, why: string): Problem {
  const message = `${place}: ${value} can't be looked at here, so nobody knows whether it is right: ${why}`;
  return { code: 'file-unreadable', severity: 'warning', message, origin };
}
