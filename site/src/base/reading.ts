// Files of the reader's, as bytes.

/** A file's bytes; or a sentence, where they cannot be had. */
export async function bytesOf(file: File): Promise<Uint8Array<ArrayBuffer> | string> {
  try {
    return new Uint8Array(await file.arrayBuffer());
  } catch {
    return `${file.name} cannot be read: it is a folder, or was moved or changed. Open it again.`;
  }
}
