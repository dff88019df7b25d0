import type { RelaySetting } from '../../model/settings.ts';
import type { Logger } from '../../system/log/logger.ts';
import { loadDatagrams } from '../native/datagrams/load-datagrams.ts';
import type { NativeDatagrams } from '../native/datagrams/native-datagrams.ts';

/**
 * Makes a function that loads the calls for many datagrams at once when the first UDP listener asks, and gives all listeners
 * the same. It gives undefined where the setting or the machine rules them out: then node:dgram moves each datagram alone.
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
