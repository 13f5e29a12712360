import { useRef } from "preact/hooks";
import type { ComponentChildren } from "preact";

interface Props {
  /** Endings and types that the picker offers. */
  accept: string;
  /** What the picker is called, where a test or a reader has to know. */
  label?: string;
  multiple?: boolean;
  disabled?: boolean;
  take: (files: File[]) => void;
  children: ComponentChildren;
}

/** A button that asks for a file; the same one can be picked again. */
export function FileButton({ accept, label, multiple = false, disabled, take, children }: Props) {
  const picker = useRef<HTMLInputElement>(null);
  return (
    <>
      <input
        ref={picker}
        type="file"
        accept={accept}
        multiple={multiple}
        hidden
        {...(label ? { "aria-label": label } : {})}
        onChange={({ currentTarget }) => {
          const files = [...(currentTarget.files ?? [])];
          currentTarget.value = "";
          if (files.length) take(files);
        }}
      />
      <button disabled={disabled ?? false} onClick={() => picker.current!.click()}>
        {children}
      </button>
    </>
  );
}
