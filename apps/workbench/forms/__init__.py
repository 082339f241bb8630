"""Forms that are made from the serializers of the API: one language of policies and filters, in JSON and in forms."""
