import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import type { CopiedLink } from "../base/clipboard";
import { count } from "../base/format";

/** A link that was asked for, and whether it was copied; where there can be none, why, and `children`. */
export function MadeLink({ of, children }: { of: CopiedLink; children?: ComponentChildren }) {
  const link = of.made.value;
  const copied = of.copied.value;
  const field = useRef<HTMLInputElement>(null);
  useLayoutEffect(() => {
    if (copied === false) field.current?.select();
  }, [copied]);
  return (
    <>
      {link?.problem && (
        <p class="problem">
          {link.problem} {children}
        </p>
      )}
      {link?.text && (
        <label class="made">
          <span>
            {`The ${of.what}, ${count(of.whole(link.text).length)} characters`}
            {copied === true && ": copied"}
            {copied === false && ": the browser did not copy it; it is selected here"}
          </span>
          <input ref={field} readOnly value={of.whole(link.text)} />
        </label>
      )}
      <p class="for-readers" aria-live="polite">
        {link?.problem || (copied && link ? `The ${of.what} has been copied.` : "")}
      </p>
    </>
  );
}
