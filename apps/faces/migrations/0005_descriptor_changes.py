from django.db import migrations, models

# The log of descriptors that changed while their face was in a list: copies of lists outside of the database follow it.
# `xid` orders it: a reader that has seen everything before the oldest running transaction of its snapshot asks for the
# rows of that transaction and of later ones. No lock and no counter is needed, and no row is missed. A row without
# face replaces purged ones: copies that are older must be made anew.
#
# The face of the descriptor is locked by every writer of descriptors and of links, so that either the trigger sees the
# link or the reader of the link sees the descriptor.
CREATE = """
CREATE TABLE faces_descriptorchange (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    face_id bigint,
    version integer,
    change_time timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX faces_descriptorchange_xid ON faces_descriptorchange (xid);

CREATE FUNCTION faces_descriptor_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO faces_descriptorchange (face_id, version)
    SELECT c.face_id, c.version FROM changed c
    WHERE EXISTS (SELECT FROM faces_listface x WHERE x.face_id = c.face_id);
    RETURN NULL;
END $$;

CREATE TRIGGER faces_descriptor_inserted AFTER INSERT ON faces_facedescriptor
REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION faces_descriptor_changed();
CREATE TRIGGER faces_descriptor_updated AFTER UPDATE ON faces_facedescriptor
REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION faces_descriptor_changed();
CREATE TRIGGER faces_descriptor_moved AFTER UPDATE ON faces_facedescriptor
REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION faces_descriptor_changed();
CREATE TRIGGER faces_descriptor_deleted AFTER DELETE ON faces_facedescriptor
REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION faces_descriptor_changed();
"""
DROP = """
DROP TRIGGER faces_descriptor_inserted ON faces_facedescriptor;
DROP TRIGGER faces_descriptor_updated ON faces_facedescriptor;
DROP TRIGGER faces_descriptor_moved ON faces_facedescriptor;
DROP TRIGGER faces_descriptor_deleted ON faces_facedescriptor;
DROP FUNCTION faces_descriptor_changed();
DROP TABLE faces_descriptorchange;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("faces", "0004_no_spare_indexes"),
    ]

    operations = [
        migrations.RunSQL(CREATE, DROP),
        migrations.AddField("listunlink", "face_key", models.BigIntegerField(null=True)),
    ]
