"""Image checks: does the picture of a face meet the requirements of ISO/IEC 19794-5, or a user's own?"""
