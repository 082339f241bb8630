from django.db import migrations

# Σ(aᵢ − bᵢ)²/128² over the first `length` bytes, by the name and signature that operators of the platform know.
CREATE = """
CREATE FUNCTION vlmatch(one bytea, other bytea, length int) RETURNS float8
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    total bigint := 0;
    difference int;
BEGIN
    IF length < 0 THEN
        RAISE EXCEPTION 'vlmatch: length must not be negative, it is %', length;
    END IF;
    FOR i IN 0 .. length - 1 LOOP
        difference := get_byte(one, i) - get_byte(other, i);
        total := total + difference * difference;
    END LOOP;
    RETURN total / 16384.0::float8;
END $$
"""
DROP = "DROP FUNCTION vlmatch(bytea, bytea, int)"


class Migration(migrations.Migration):
    dependencies = [
        ("faces", "0002_list_pages"),
    ]

    operations = [
        migrations.RunSQL(CREATE, DROP),
    ]
