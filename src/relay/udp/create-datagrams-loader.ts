import type { RelaySetting } from '../../model/settings.ts';
import type { Logger } from '../../system/log/logger.ts';
import { loadDatagrams } from '../native/datagrams/load-datagrams.ts';
import type { NativeDatagrams } from '../native/datagrams/native-datagrams.ts';

/**
 * Makes a function that gives all UDP listeners the same memory and calls, prepared when the first of them asks; nothing
 * where the setting or the machine doesn't want it, and then node:dgram moves each datagram alone.
 */
export function createDatagramsLoader(
  setting: RelaySetting,
  { logger, load = loadDatagrams }: { readonly logger: Logger; readonly load?: typeof loadDatagrams },
): () => Promise<NativeDatagrams | undefined> {
  if (setting === 'stream') return async () => undefined;
  let loading: Promise<NativeDatagrams | undefined> | undefined;
  const begin = async () => {
    const loaded = await load();
    if (loaded.kind === 'loaded') return loaded.datagrams;
    logger.info(
      { event: 'relay' },
      `UDP datagrams are relayed one by one instead of in batches, which takes more processor time: ${loaded.reason}`,
    );
    return undefined;
  };
  return () => {
    loading ??= begin();
    return loading;
  };
}
