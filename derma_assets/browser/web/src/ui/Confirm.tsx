/** A question that has to be answered before something is lost. */

import { useEffect, useRef } from "preact/hooks";

interface Props {
  question: string;
  yes: string;
  no: string;
  onAnswer(yes: boolean): void;
}

export function Confirm({ question, yes, no, onAnswer }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} class="card confirm" aria-label={question} onCancel={() => onAnswer(false)}>
      <p>{question}</p>
      <div class="row">
        <button type="button" class="button" id="confirm-no" onClick={() => onAnswer(false)}>
          {no}
        </button>
        <button type="button" class="button danger" id="confirm-yes" onClick={() => onAnswer(true)}>
          {yes}
        </button>
      </div>
    </dialog>
  );
}
