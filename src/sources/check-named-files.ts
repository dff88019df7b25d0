import type { FileConfig } from '../config/file.ts';
import { describeUncovered } from '../config/rules/uncovered-hosts.ts';
import { type Origin, originOfItem, type Sourced } from '../model/origin.ts';
import type { Problem } from '../model/problem.ts';
import type { Settings } from '../model/settings.ts';
import type { CertificateFiles, WaitingPage } from '../model/web.ts';
import { messageOf } from '../system/message-of.ts';
import { checkCertificate, namesOfCertificate } from '../system/tls/check-certificate.ts';

/** Reads a file as UTF-8; rejects with the reason, which is fit for a message after the file's name. */
export type ReadNamedFile = (path: string) => Promise<string>;

interface Named<T> {
  readonly place: string;
  readonly value: T;
  readonly origin: Origin;
}

/**
 * Looks at the files that a configuration names: whether certificates fit their keys and count now, whether they are for the hosts of
 * services, and whether waiting pages are there. What can't be read is a warning, since it may be there where the file will be used.
 * @param options.http what is in force of it.
 */
export async function checkNamedFiles(
  config: FileConfig,
  {
    http,
    nowMs,
    read,
  }: { readonly http: Settings['http']; readonly nowMs: number; readonly read: ReadNamedFile },
): Promise<readonly Problem[]> {
  const [shared, ...others] = await Promise.all([
    Promise.all(listShared(config).map((named) => checkFiles(named, { nowMs, read }))),
    ...listOwn(config).map((named) => checkFiles(named, { nowMs, read })),
    ...listPages(config).map((named) => checkPage(named, read)),
  ]);
  const names = shared.map((checked) => checked.names);
  return [
    ...[...shared, ...others].flatMap(({ problems }) => problems),
    // Where one of them can't be read, nobody knows what it is for.
    ...(names.every((known) => known !== undefined)
      ? findUncovered(config, { http, names: names.flat() })
      : []),
  ];
}

/** What is wrong with a file, and the names that a certificate in it is for, where that can be told. */
interface Checked {
  readonly problems: readonly Problem[];
  readonly names?: readonly string[];
}

/** Warns of hosts that no file of a certificate is for. What is made, or not, where there are no files, is said of the text itself. */
function findUncovered(
  { services }: FileConfig,
  { http, names }: { readonly http: Settings['http']; readonly names: readonly string[] },
): readonly Problem[] {
  const { https, certificates, selfSignedDomains } = http;
  if (https.length === 0 || certificates.length === 0) return [];
  return services.flatMap(({ draft: { hosts } }): readonly Problem[] => {
    const why = hosts && describeUncovered(hosts.value, { names, selfSignedDomains });
    if (hosts === undefined || why === undefined) return [];
    const { origin } = hosts;
    return [{ code: 'option-without-effect', severity: 'warning', message: `hosts: ${why}`, origin }];
  });
}

/** Those of the front doors. */
function listShared({ settings }: FileConfig): readonly Named<CertificateFiles>[] {
  const shared = settings['http.certificates'] as Sourced<readonly CertificateFiles[]> | undefined;
  return (shared?.value ?? []).map((value, index) => ({
    ...{ place: `http.certificates[${index}]`, value },
    origin: originOfItem(shared?.origin ?? { kind: 'default' }, index),
  }));
}

/** Those of single services. */
function listOwn({ services }: FileConfig): readonly Named<CertificateFiles>[] {
  return services.flatMap(({ draft: { tls } }): readonly Named<CertificateFiles>[] =>
    tls !== undefined && tls.value !== 'off' && tls.value.kind === 'files'
      ? [{ place: 'tls', value: tls.value, origin: tls.origin }]
      : [],
  );
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
): Promise<Checked> {
  const contents: string[] = [];
  for (const path of [value.cert, value.key]) {
    const content = await tryRead(path, read);
    if (content.kind === 'unread') return { problems: [unread({ place, value: path, origin }, content.why)] };
    contents.push(content.text);
  }
  const [cert = '', key = ''] = contents;
  const faults = checkCertificate({ cert, key, nowMs });
  const problems = faults.map(({ severity, message }): Problem => {
    const which = message.startsWith('the key') ? value.key : value.cert;
    return { code: 'bad-certificate', severity, message: `${place}: ${which}: ${message}`, origin };
  });
  if (faults.some(({ kind }) => kind === 'form')) return { problems };
  return { problems, names: namesOfCertificate(cert) };
}

async function checkPage(named: Named<string>, read: ReadNamedFile): Promise<Checked> {
  const content = await tryRead(named.value, read);
  return { problems: content.kind === 'unread' ? [unread(named, content.why)] : [] };
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
