-- What people type is looked for in names without case and accents. The folded name is kept, for to fold ten thousand of them at every
-- search takes thirty milliseconds, and to read them one.

ALTER TABLE fleet.point_of_sale ADD COLUMN folded_name text
    GENERATED ALWAYS AS (translate(lower(name), 'àáâäãçèéêëìíîïñòóôöõùúûüýÿ', 'aaaaaceeeeiiiinooooouuuuyy')) STORED;
-- For what begins so, whatever the database's collation.
CREATE INDEX point_of_sale_code_beginning ON fleet.point_of_sale (lower(code) text_pattern_ops);
CREATE INDEX terminal_id_beginning ON fleet.terminal (id text_pattern_ops);
