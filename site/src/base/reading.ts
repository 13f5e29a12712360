// Files of the reader's, as bytes.

/** A file's bytes; or a sentence, where they cannot be had. */
export async function bytesOf(file: File): Promise<Uint8Array<ArrayBuffer> | string> {
  try {
    return new Uint8Array(await file.arrayBuffer());
  } catch {
    return `${file.name} cannot be read: it is a folder, or was moved or changed. Open it again.`;
  }
}

/** Reads the files that are picked for one place: null for one that another has followed, or null,
 * which takes none.
 */
export function reader(): (file: File | null) => Promise<Uint8Array<ArrayBuffer> | string | null> {
  let last: File | null;
  return async (file) => {
    last = file;
    if (!file) return null;
    const bytes = await bytesOf(file);
    return file === last ? bytes : null;
  };
}
