"""Posts of one or more photographs: upload, storage, media, editing, deletion."""
