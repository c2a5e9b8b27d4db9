"""What a person looks at: figures, tables, widgets."""
