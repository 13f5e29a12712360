import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import { announce, said } from "./announce";

interface Props {
  tone: "error" | "advice" | "notice";
  title?: string;
  /** Of its heading. */
  level?: 2 | 3;
  /** What it is called where it has no heading. */
  label?: string;
  class?: string;
  children: ComponentChildren;
}

/** An error, an offer or a question. It is announced once, when it is mounted: give each its own key. */
export function Panel({ tone, title, level = 2, label, class: more = "", children }: Props) {
  const box = useRef<HTMLElement>(null);
  useLayoutEffect(() => {
    const parts = [...box.current!.querySelectorAll<HTMLElement>("h2, h3, summary, p")].slice(0, 2);
    announce(parts.map((part) => part.innerText).join(" "), tone === "error");
  }, []);
  const Heading = `h${level}` as const;
  const name = title ?? label;
  return (
    <section ref={box} class={`panel ${tone} ${more}`} {...(name ? { "aria-label": name } : {})}>
      {title && <Heading>{title}</Heading>}
      {children}
    </section>
  );
}

/** Where announcements are read from: it is there from the start, and nobody sees it. */
export function Announcements() {
  const all = (urgent: boolean) =>
    said.value.filter((one) => one.urgent === urgent).map(({ id, text }) => <p key={id}>{text}</p>);
  return (
    <div class="for-readers">
      <div role="status" aria-atomic="false">
        {all(false)}
      </div>
      <div role="alert" aria-atomic="false">
        {all(true)}
      </div>
    </div>
  );
}
