"""Whether a submission may be asked at all; pure but for looking up hosts."""
