"""Rows: reading, forms, audit, splitting, and the form of a prediction. Knows no tensors.

The way of a row: sources (which files) > content (bytes as they should be) > decoding (text) >
csv_rows, json_rows, arrow_rows, hub (blocks of values) > columns (which are text and label) >
values (texts and labels) > intake (kept or dropped) > forms (the Arrow file of a split) > splitting.

What users are told when something is wrong with their data:

- D001 no such file, D002 empty file, D003 no header or no rows, D004 not readable by this user,
  D005 an ending that is not known, D006 a folder whose files make no data set
- D007 binary content, D008 another encoding, D009 a compressed file that is damaged,
  D010 a file that changed while it was read, D011 neither here nor on the hub
- D012 a row of the wrong width, D013 quotation marks, D014 two columns or keys of one name,
  D015 malformed JSON, D016 JSON of another shape, D017 a Parquet or Arrow file that is damaged,
  D018 half a character
- D020 no such column, D021 the choice of columns is not clear, D022 files with different columns,
  D023 a text that is missing or no string
- D030 labels missing, D031 one class only, D032 a label that training lacks, D033 a value that is no
  label, D034 single labels and lists mixed, D035 no row left, D040 too few rows to split
"""

from __future__ import annotations

ROW_FORMS = {
    "text-classification": "whet.data.labelled:Labelled",
    "token-classification": "whet.data.entities:Entities",
    "question-answering": "whet.data.questions:Questions",
    "sentence-similarity": "whet.data.scored:Similar",
    "regression": "whet.data.scored:Scored",
    "ranking": "whet.data.scored:Relevant",
    "text-generation": "whet.data.conversations:Conversations",
    "translation": "whet.data.referenced:Referenced",
    "summarization": "whet.data.referenced:Referenced",
    "language-modeling": "whet.data.documents:Documents",
    "fill-mask": "whet.data.documents:Documents",
    "preference": "whet.data.preferences:Preferences",
}
"""Task -> what its rows hold (:mod:`whet.data.row_form`)."""
