// Imported first. uPlot makes an Intl.NumberFormat of the browser's language when it is imported, and
// that throws if the language is no tag: WebKitGTK reports "C" where the system's locale is C.UTF-8.

try {
  Intl.getCanonicalLocales(navigator.language);
} catch {
  Object.defineProperty(navigator, "language", { value: "en" });
}
