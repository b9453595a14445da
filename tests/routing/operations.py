"""What the ORM can be told to do, as one would write it; for the table of docs/routing.md.

`book`, `author`, `tag`, `item`, `place` and `profile` were read from the replica, and so were
those called `other_…`. `main_book` is of `default`.
"""

from collections.abc import Sequence

# A section's rows are run one by one, each in a transaction that is undone.
QUERYSETS = (
    "Book.objects.get(pk=1)",
    "list(Book.objects.filter(author=author))",
    "Book.objects.first()",
    "Book.objects.count()",
    "Book.objects.exists()",
    "Book.objects.aggregate(Max('pk'))",
    "Book.objects.contains(book)",
    "Book.objects.in_bulk([1])",
    "list(Book.objects.iterator())",
    "list(Book.objects.values('title'))",
    "list(Book.objects.values_list('title'))",
    "list(Book.objects.dates('year', 'year'))",
    "list(Book.objects.union(Book.objects.all()))",
    "list(Book.objects.filter(author__in=Author.objects.all()))",
    "list(Book.objects.select_related('author'))",
    "list(Book.objects.raw('SELECT * FROM lab_book'))",
    "Book.objects.explain()",
    "list(Book.objects.select_for_update())",
    "list(Book.objects.using('replica'))",
    "list(Book.objects.using('replica').select_related('author'))",
    "await Book.objects.aget(pk=1)",
    "ModelChoiceField(Author.objects.all()).clean(1)",
    "ContentType.objects.get_for_model(Shelf)",
)
QUERYSET_WRITES = (
    "Author.objects.create(name='new')",
    "Author.objects.using('replica').create(name='new')",
    "Author.objects.get_or_create(pk=1)",
    "Author.objects.get_or_create(name='new')",
    "Author.objects.update_or_create({'name': 'new'}, pk=1)",
    "Author.objects.bulk_create([Author(name='new')])",
    "Author.objects.bulk_update([author], ['name'])",
    "Author.objects.update(name='new')",
    "Profile.objects.all().delete()",
    "Author.objects.all().delete()",
    "await Author.objects.acreate(name='new')",
)
INSTANCES = (
    "Author(name='new').save()",
    "Author(name='new').save(using='replica')",
    "author.save()",
    "author.save(using='default')",
    "author.delete()",
    "copied(author).save()",
    "author.refresh_from_db()",
    "author.refresh_from_db(using='default')",
    "Book.objects.using('replica').defer('title')[0].title",
    "book.full_clean()",
    "book.validate_constraints()",
    "Book(author=author)",
    "Book(author=author).save()",
    "Book.objects.create(author=author)",
    "await author.asave()",
    "await author.arefresh_from_db()",
)
TO_ONE = (
    "book.author",
    "Book(author_id=1).author",
    "book.author = other_author",
    "main_book.author = author",
    "Book().author = author",
    "profile.author",
    "author.profile",
    "author.profile = other_profile",
    "cafe.place_ptr",
    "place.cafe",
)
TO_MANY = (
    "list(author.books.all())",
    "author.books.count()",
    "list(author.books.using('default'))",
    "list(author.books.db_manager('default').all())",
    "author.books.add(book)",
    "author.books.add(book, bulk=False)",
    "author.books.set([book])",
    "author.books.create(title='new')",
    "author.books.get_or_create(pk=3)",
    "author.books.update_or_create(defaults={'title': 'new'}, pk=3)",
    "author.books.remove(author.books.get(pk=3))",
    "author.books.clear()",
    "list(book.tags.all())",
    "book.tags.count()",
    "book.tags.exists()",
    "list(book.tags.using('default'))",
    "book.tags.add(tag)",
    "book.tags.add(3)",
    "book.tags.create(name='new')",
    "book.tags.set([3])",
    "book.tags.remove(tag)",
    "book.tags.clear()",
    "tag.books.set([book])",
    "await book.tags.aadd(tag)",
)
GENERIC = (
    "item.content_object",
    "item.content_object = author",
    "list(book.items.all())",
    "book.items.create(note='new')",
    "book.items.add(item)",
    "book.items.set([item])",
    "book.items.remove(item)",
    "book.items.clear()",
)
ON_REPLICA = {
    "Book": (
        "prefetch_related('author')",
        "prefetch_related(Prefetch('author', Author.objects.all()))",
        "prefetch_related(Prefetch('author', Author.objects.using('replica')))",
        "prefetch_related('tags')",
        "prefetch_related(Prefetch('tags', Tag.objects.all()))",
        "prefetch_related('items')",
        "prefetch_related('author__profile')",
        "prefetch_related('author').iterator(chunk_size=2)",
        "prefetch_related('author').in_bulk([1])",
        "prefetch_related(*prefetch_using('replica', 'author'))",
    ),
    "Author": (
        "prefetch_related('books')",
        "prefetch_related(Prefetch('books', Book.objects.all()))",
        "prefetch_related('profile')",
    ),
    "Item": (
        "prefetch_related('content_object')",
        "prefetch_related(*prefetch_using('replica', 'content_object'))",
    ),
}
PREFETCHING = (
    *(
        f"list({model}.objects.using('replica').{each})"
        for model, ways in ON_REPLICA.items()
        for each in ways
    ),
    "list(Book.objects.raw('SELECT * FROM lab_book', using='replica').prefetch_related('author'))",
    "prefetch_related_objects([book], 'author')",
)
# From Django 6.1 on.
FETCH_MODES = (
    "peers(Book)[0].author",
    "peers(Author)[0].profile",
    "peers(Book, 'title')[0].title",
    "peers(Item)[0].content_object",
)
SECTIONS: dict[str, Sequence[str]] = {
    "Querysets that read": QUERYSETS,
    "Querysets that write": QUERYSET_WRITES,
    "Instances": INSTANCES,
    "Relations to one row": TO_ONE,
    "Relations to many rows": TO_MANY,
    "Generic relations": GENERIC,
    "Prefetching": PREFETCHING,
    "Fetch modes (Django 6.1)": FETCH_MODES,
}
