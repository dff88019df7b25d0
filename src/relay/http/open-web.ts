/**
 * What serves HTTP: the engine that all doors share, and the doors. Loaded when a service first needs it, from a file of its own,
 * with copies of what it imports: so it gets all that must be there only once as parts.
 */
import { exposeGarbageCollector } from '../../system/memory/collect-garbage.ts';
import { Login } from './login/login.ts';
import { PasswordChecker } from './login/password-checker.ts';
import { Themes } from './waiting/themes.ts';
import { Waiting } from './waiting/waiting.ts';
import { WebDoor, type WebDoorOptions } from './web-door.ts';
import { WebEngine, type WebEngineParts } from './web-engine.ts';

/** A file of its own, because a thread loads nothing else. */
const PASSWORD_THREAD = new URL('./login/bcrypt-thread.js', import.meta.url);

export type WebParts = Omit<WebEngineParts, 'waiting' | 'login'> &
  Pick<WebDoorOptions, 'relay' | 'isTrusted'> & {
    /** Told why a service's own page can't be used. */
    readonly onBadTheme: (service: string, reason: string) => void;
    /** The built `bcrypt-thread`; default: beside this file. */
    readonly passwordThread?: URL;
  };

export type DoorOptions = Omit<
  WebDoorOptions,
  'engine' | 'relay' | 'clock' | 'admission' | 'isTrusted' | 'findRoute'
> &
  Pick<WebDoorOptions, 'findRoute'>;

/** The parts that serve HTTP. `close()` ends what the doors have left. */
export interface Web {
  readonly engine: WebEngine;
  createDoor(options: DoorOptions): WebDoor;
  close(): void;
}

export function openWeb(parts: WebParts): Web {
  const { clock, relay, isTrusted, admission } = parts;
  const themes = new Themes({ clock, onBad: parts.onBadTheme });
  const login = new Login(new PasswordChecker({ file: parts.passwordThread ?? PASSWORD_THREAD, clock }));
  const waiting = new Waiting({ clock, themeOf: (binding) => themes.of(binding) });
  let collect: ReturnType<typeof exposeGarbageCollector> | undefined;
  const collectYoung = () => {
    collect ??= exposeGarbageCollector();
    collect('young');
  };
  const engine = new WebEngine({ ...parts, waiting, login, collectYoung });
  return {
    engine,
    createDoor: (options) => new WebDoor({ ...options, engine, relay, clock, isTrusted, admission }),
    close: () => engine.close(),
  };
}
