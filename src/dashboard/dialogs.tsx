/** What is asked before something is done, and what has become of it. */
import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { showText } from './format.ts';
import { Foreign } from './parts.tsx';
import type { Question, Steerer, Steering } from './data/steering.ts';

const TIMES = [
  ['1h', '1 hour'],
  ['2h', '2 hours'],
  ['8h', '8 hours'],
  ['24h', '1 day'],
  ['7d', '7 days'],
] as const;

export function Dialogs({
  steering: { question, notice },
  steerer,
  isLocked,
}: {
  readonly steering: Steering;
  readonly steerer: Steerer;
  readonly isLocked: boolean;
}) {
  // Whoever closes it sees the page as it is; the page offers to open it again.
  const [wasClosed, setWasClosed] = useState(false);
  useEffect(() => setWasClosed(false), [isLocked]);
  const asked: Question | undefined =
    question ?? (isLocked && !wasClosed ? { kind: 'token', job: undefined, problem: undefined } : undefined);
  return (
    <>
      <div class="notices" role="status">
        {notice !== undefined && (
          <p class={notice.isProblem ? 'notice bad' : 'notice'}>
            <Foreign text={notice.text} />{' '}
            <button type="button" class="plain" onClick={() => steerer.dismissNotice()}>
              OK
            </button>
          </p>
        )}
      </div>
      {asked?.kind === 'token' && (
        <TokenDialog
          question={asked}
          steerer={steerer}
          isLocked={isLocked}
          onClose={() => {
            setWasClosed(true);
            steerer.ask(undefined);
          }}
        />
      )}
      {asked?.kind === 'hold' && <HoldDialog name={asked.name} steerer={steerer} />}
      {asked?.kind === 'cut' && (
        <Dialog
          title={`Put ${showText(asked.job.name)} to sleep all the same?`}
          onClose={() => steerer.ask(undefined)}
        >
          <p>
            {asked.clients === 1 ? '1 client uses it' : `${asked.clients} clients use it`}. They lose their
            connections.
          </p>
          <Choices onCancel={() => steerer.ask(undefined)}>
            <button type="button" class="danger" onClick={() => void steerer.run(asked.job)}>
              Cut its clients
            </button>
          </Choices>
        </Dialog>
      )}
    </>
  );
}

function TokenDialog({
  question: { job, problem },
  steerer,
  isLocked,
  onClose,
}: {
  readonly onClose: () => void;
  readonly question: Extract<Question, { kind: 'token' }>;
  readonly steerer: Steerer;
  readonly isLocked: boolean;
}) {
  const [text, setText] = useState('');
  const submit = (event: Event) => {
    event.preventDefault();
    const shown = text.trim();
    if (shown === '') return;
    if (job === undefined) void steerer.unlock(shown);
    else void steerer.run(job, shown);
  };
  return (
    <Dialog title="The proxy asks for its token" onClose={onClose}>
      <form onSubmit={submit}>
        <p>
          {isLocked
            ? 'Reading needs it.'
            : 'Whoever changes something, or reads what may hold secrets, needs it.'}{' '}
          It is <code>status.token</code> of the configuration file, or what <code>status.token_file</code> or{' '}
          <code>LAZY_PROXY_TOKEN</code> says. This tab alone keeps it.
        </p>
        <label>
          Token
          <input
            type="password"
            autocomplete="current-password"
            value={text}
            aria-invalid={problem !== undefined}
            aria-describedby="token-problem"
            onInput={(event) => setText(event.currentTarget.value)}
          />
        </label>
        <p id="token-problem" class="bad" role="alert">
          {problem}
        </p>
        <Choices onCancel={onClose}>
          <button type="submit" class="main">
            Go on
          </button>
        </Choices>
      </form>
    </Dialog>
  );
}

function HoldDialog({ name, steerer }: { readonly name: string; readonly steerer: Steerer }) {
  return (
    <Dialog title={`Hold ${showText(name)} awake`} onClose={() => steerer.ask(undefined)}>
      <p>It is woken, and does not sleep before the time is over. How long?</p>
      <Choices onCancel={() => steerer.ask(undefined)}>
        {TIMES.map(([time, words]) => (
          <button
            key={time}
            type="button"
            onClick={() => {
              steerer.ask(undefined);
              void steerer.run({ name, action: 'hold', time });
            }}
          >
            {words}
          </button>
        ))}
      </Choices>
    </Dialog>
  );
}

/** The browser keeps the focus in it, and gives it back where it was. */
function Dialog({
  title,
  onClose,
  children,
}: {
  readonly title: string;
  readonly onClose: () => void;
  readonly children: ComponentChildren;
}) {
  const place = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    place.current?.showModal();
    return () => place.current?.close();
  }, []);
  return (
    <dialog
      ref={place}
      aria-labelledby="dialog-title"
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
    >
      <h2 id="dialog-title">{title}</h2>
      {children}
    </dialog>
  );
}

/** What can be done, and the way out. */
function Choices({
  onCancel,
  children,
}: {
  readonly onCancel: () => void;
  readonly children: ComponentChildren;
}) {
  return (
    <div class="act">
      {children}
      <button type="button" onClick={onCancel}>
        Cancel
      </button>
    </div>
  );
}
